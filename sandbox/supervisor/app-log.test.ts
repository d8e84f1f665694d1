import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { AppLog } from "./app-log.ts";

t.test("append() keeps a bounded file, the one before it, and the last words", async (t) => {
  const directory = mkdtempSync(join(tmpdir(), "log-"));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const path = join(directory, "deep", "app.log");
  const log = new AppLog(path);
  const line = `${"x".repeat(99_999)}\n`;
  for (let index = 0; index < 30; index++) log.append(line);
  log.append("the end\n");
  t.ok(statSync(path).size < 1.2e6 && statSync(`${path}.1`).size < 1.2e6);
  t.ok(readFileSync(path, "utf8").endsWith("x\nthe end\n"));
  t.equal(log.tail, "the end\n", "a line that is cut is left out");

  new AppLog(path).append("again\n");
  t.ok(readFileSync(path, "utf8").endsWith("the end\nagain\n"), "it is continued");
});

t.test("append() survives a log that cannot be written", async (t) => {
  const directory = mkdtempSync(join(tmpdir(), "log-"));
  const log = new AppLog(join(directory, "app.log"));
  rmSync(directory, { recursive: true });
  log.append("still here\n");
  t.equal(log.tail, "still here\n");
});
