import t from "tap";
import { LogRing } from "./log-ring.ts";
import type { LogLine } from "./sandbox-engine.ts";

const line = (text: string): LogLine => ({ stream: "stdout", time: 0, line: text });

async function texts(lines: AsyncIterable<LogLine>): Promise<string[]> {
  const all: string[] = [];
  for await (const { line } of lines) all.push(line);
  return all;
}

t.test("read() gives the last lines in order", async (t) => {
  const ring = new LogRing();
  ring.push(["a", "b", "c"].map(line));
  t.same(await texts(ring.read({})), ["a", "b", "c"]);
  t.same(await texts(ring.read({ tail: 2 })), ["b", "c"]);
  t.same(await texts(ring.read({ tail: 0 })), []);
});

t.test("push() keeps 2,000 lines", async (t) => {
  const ring = new LogRing();
  for (let index = 0; index < 2_500; index++) ring.push([line(String(index))]);
  const kept = await texts(ring.read({}));
  t.equal(kept.length, 2_000);
  t.equal(kept[0], "500");
  t.equal(kept.at(-1), "2499");
});

t.test("push() keeps less of very long lines", async (t) => {
  const ring = new LogRing();
  const long = "x".repeat(16_384);
  for (let index = 0; index < 1_000; index++) ring.push([line(long)]);
  t.equal((await texts(ring.read({}))).length, 256);
});

t.test("read() follows until the signal aborts", async (t) => {
  const ring = new LogRing();
  ring.push([line("a"), line("b")]);
  const abort = new AbortController();
  const seen: string[] = [];
  for await (const { line: text } of ring.read({ tail: 1, follow: true, signal: abort.signal })) {
    seen.push(text);
    if (text === "b") ring.push([line("c"), line("d")]);
    if (text === "d") setImmediate(() => abort.abort());
  }
  t.same(seen, ["b", "c", "d"]);
  t.same(await texts(ring.read({ tail: 1, follow: true, signal: abort.signal })), ["d"]);
});

t.test("close() ends those who follow", async (t) => {
  const ring = new LogRing();
  const reading = texts(ring.read({ follow: true }));
  ring.push([line("a")]);
  setImmediate(() => ring.close());
  t.same(await reading, ["a"]);
  t.same(await texts(ring.read({ follow: true })), ["a"]);
});
