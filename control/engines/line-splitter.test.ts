import t from "tap";
import { LineSplitter, longestLineBytes } from "./line-splitter.ts";

t.test("push() gives whole lines without their ends and keeps the rest", async (t) => {
  const splitter = new LineSplitter();
  t.same(splitter.push(Buffer.from("one\r\ntwo\n\nthr")), ["one", "two", ""]);
  t.same(splitter.push(Buffer.from("ee\nfour")), ["three"]);
  t.same(splitter.flush(), ["four"]);
  t.same(splitter.flush(), []);
});

t.test("push() puts a character together that two chunks share", async (t) => {
  const splitter = new LineSplitter();
  const bytes = Buffer.from("grün\n");
  t.same([...splitter.push(bytes.subarray(0, 3)), ...splitter.push(bytes.subarray(3))], ["grün"]);
});

t.test("push() splits a long line at 16 KiB and never inside a character", async (t) => {
  const splitter = new LineSplitter();
  const text = `a${"ü".repeat(longestLineBytes)}`;
  const lines = [...splitter.push(Buffer.from(`${text}\nnext\n`))];
  t.equal(lines.pop(), "next");
  t.ok(lines.length > 1);
  t.ok(lines.every((line) => Buffer.byteLength(line) <= longestLineBytes));
  t.equal(lines.join(""), text);
});

t.test("push() splits bytes that are not UTF-8 as well", async (t) => {
  const splitter = new LineSplitter();
  t.equal(splitter.push(Buffer.alloc(longestLineBytes * 2 + 1, 0x80)).length, 2);
});
