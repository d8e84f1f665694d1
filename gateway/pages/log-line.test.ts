import t from "tap";
import { plainLine } from "./log-line.ts";

t.test("plainLine() removes terminal sequences", async (t) => {
  t.equal(plainLine("\x1b[1;31mred\x1b[0m and \x1b[38;2;1;2;3mtrue\x9b0m"), "red and true");
  t.equal(plainLine("\x1b]0;title\x07text"), "text");
  t.equal(plainLine("\x1b]8;;http://x.example\x1b\\link\x1b]8;;\x1b\\"), "link");
  t.equal(plainLine("a\x1b(Bb\x1b7c\x1b"), "abc");
});

t.test("plainLine() shows what a carriage return left", async (t) => {
  t.equal(plainLine("10 %\r50 %\r100 %\r"), "100 %");
  t.equal(plainLine("line\r"), "line");
  t.equal(plainLine("\r"), "");
});

t.test("plainLine() keeps tabs and text and drops control characters", async (t) => {
  t.equal(plainLine("a\tb\x00\x08\x7f ✓ ü"), "a\tb ✓ ü");
});

t.test("plainLine() bounds the line and takes no longer for a hostile one", async (t) => {
  t.equal(plainLine("x".repeat(1e6)).length, 1000);
  const start = performance.now();
  for (const part of ["\r", "\x1b[", "\x1b]", "\x1b", "\x1b[0", "a\r"]) plainLine(part.repeat(5e5));
  t.ok(performance.now() - start < 500);
});
