import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { DataLockedError, lockDataDirectory } from "./data-lock.ts";

const directory = mkdtempSync(join(tmpdir(), "data-lock-"));
t.teardown(() => rmSync(directory, { recursive: true }));

t.test("lockDataDirectory() lets one have the directory at a time", async (t) => {
  const path = join(directory, "one");
  const unlock = lockDataDirectory(path);
  t.throws(() => lockDataDirectory(path), DataLockedError);
  t.throws(() => lockDataDirectory(path), { message: /SANDBOXD_DATA_DIR.*one/ });
  unlock();
  lockDataDirectory(path)();
});

t.test("lockDataDirectory() of another process ends with it, even when it is killed", async (t) => {
  const path = join(directory, "two");
  const module = JSON.stringify(join(import.meta.dirname, "data-lock.ts"));
  const program = `
    const { lockDataDirectory } = await import(${module});
    lockDataDirectory(${JSON.stringify(path)});
    console.log("locked");
    setInterval(() => {}, 1000);
  `;
  const other = spawn(process.execPath, ["--input-type=module", "-e", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  t.teardown(() => other.kill("SIGKILL"));
  await once(other.stdout, "data");
  t.throws(() => lockDataDirectory(path), DataLockedError);
  other.kill("SIGKILL");
  await once(other, "exit");
  lockDataDirectory(path)();
});
