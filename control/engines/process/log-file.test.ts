import { appendFile, mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t, { type Test } from "tap";
import { until } from "../engine-under-test.ts";
import { LogFile } from "./log-file.ts";

async function path(t: Test): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "log-file-"));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  return join(directory, "stdout.log");
}

t.test("readNew() gives each line once, whole", async (t) => {
  const at = await path(t);
  const file = new LogFile(at, 1_000_000);
  await appendFile(at, "one\ntw");
  t.same(file.readNew().lines, ["one"]);
  t.same(file.readNew().lines, []);
  await appendFile(at, "o\nthree");
  t.same(file.readNew().lines, ["two"]);
  t.same(file.flush(), ["three"]);
  await file.close();
});

t.test("readTail() gives what an earlier program left, and goes on behind it", async (t) => {
  const at = await path(t);
  await appendFile(at, "one\ntwo\nthr");
  const file = new LogFile(at, 1_000_000);
  t.same(file.readTail().lines, ["one", "two"]);
  await appendFile(at, "ee\n");
  t.same(file.readNew().lines, ["three"]);
  await file.close();
});

t.test("readTail() of a long file begins with a whole line", async (t) => {
  const at = await path(t);
  const lines = Array.from({ length: 40_000 }, (_, index) => `line ${index}`);
  await appendFile(at, `${lines.join("\n")}\n`);
  const file = new LogFile(at, 10_000_000);
  const tail = file.readTail().lines;
  t.ok(tail.length > 2_000);
  t.same(tail, lines.slice(-tail.length));
  await file.close();
});

t.test("readNew() empties a file that has grown too long, under those who append to it", async (t) => {
  const at = await path(t);
  const file = new LogFile(at, 1_000);
  await appendFile(at, `${"x".repeat(999)}\nlast of the first\n`);
  t.equal(file.readNew().lines.length, 2);
  await until("the emptying", async () => (await stat(at)).size === 0);
  await appendFile(at, "first of the second\n");
  t.same(file.readNew().lines, ["first of the second"]);
  t.match(await readFile(`${at}.1`, "utf8"), /last of the first\n$/);
  await file.close();

  const next = new LogFile(at, 1_000);
  t.same(next.readTail().lines.slice(-2), ["last of the first", "first of the second"]);
  await next.close();
});

t.test("readNew() skips to the newest part of a flood", async (t) => {
  const at = await path(t);
  const file = new LogFile(at, 10_000_000);
  await appendFile(at, "flood\n".repeat(500_000));
  await appendFile(at, "end\n");
  const { lines } = file.readNew();
  t.ok(lines.length < 50_000);
  t.equal(lines.at(-1), "end");
  await file.close();
});
