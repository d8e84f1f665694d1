import { mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { anySpec, newId } from "../engine-under-test.ts";
import { readRecord, type SandboxRecord, writeRecord } from "./sandbox-record.ts";

t.test("readRecord() gives what writeRecord() was given, and throws for anything else", async (t) => {
  const root = await mkdtemp(join(tmpdir(), "sandbox-record-"));
  t.teardown(() => rm(root, { recursive: true, force: true }));
  const path = join(root, "a", "record.json");
  const record: SandboxRecord = {
    spec: { ...anySpec, id: newId(), env: { SECRET: "of the sandbox" } },
    run: {
      pid: null,
      startTime: null,
      bootId: "b",
      startedAt: 1,
      paused: false,
      ports: [{ port: 3000, upstreamPort: 20_000 }],
      marks: ["HOME=/a"],
    },
    exit: { code: 1, signal: null, outOfMemory: false },
  };
  writeRecord(path, record);
  t.same(readRecord(path), record);
  t.equal((await stat(path)).mode & 0o777, 0o600);
  t.same(await readdir(join(root, "a")), ["record.json"]);
  await writeFile(path, JSON.stringify({ ...record, run: { pid: "1" } }));
  t.throws(() => readRecord(path), /run/);
  t.throws(() => readRecord(join(root, "b")), { code: "ENOENT" });
});
