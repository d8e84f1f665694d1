import { writeSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t, { type Test } from "tap";
import { texts } from "../engine-under-test.ts";
import { SandboxLog } from "./sandbox-log.ts";

async function directory(t: Test): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "sandbox-log-"));
  t.teardown(() => rm(path, { recursive: true, force: true }));
  return join(path, "log");
}

t.test("read() follows what is written, without being asked", async (t) => {
  const log = new SandboxLog(await directory(t), { mostBytes: 1_000_000 });
  const [stdout, stderr] = log.follow();
  const seen: string[] = [];
  const lines = log.read({ follow: true });
  writeSync(stdout, "one\n");
  for await (const { stream, line } of lines) {
    seen.push(`${stream} ${line}`);
    if (line === "one") writeSync(stderr, "two\nthree");
    if (line === "two") log.pause();
    if (line === "three") break;
  }
  t.same(seen, ["stdout one", "stderr two", "stderr three"]);
  await log.close();
});

t.test("read() knows after a restart what was written before", async (t) => {
  const path = await directory(t);
  const before = new SandboxLog(path, { mostBytes: 1_000_000 });
  writeSync(before.follow()[0], "one\ntwo\n");
  await before.close();
  const after = new SandboxLog(path, { mostBytes: 1_000_000 });
  t.same(await texts(after.read({})), ["one", "two"]);
  writeSync(after.follow()[1], "three\n");
  t.same(await texts(after.read({})), ["one", "two", "three"]);
  await after.close();
});

t.test("close() ends those who follow", async (t) => {
  const log = new SandboxLog(await directory(t), { mostBytes: 1_000_000 });
  writeSync(log.follow()[0], "last");
  const reading = texts(log.read({ follow: true }));
  await new Promise((resolve) => setImmediate(resolve));
  await log.close();
  t.same(await reading, ["last"]);
});
