import { copyFileSync, existsSync, openSync, readdirSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import Sqlite from "better-sqlite3";
import t, { type Test } from "tap";
import { appBody, newDirectory, startControl } from "../testing/control.ts";
import { type RestoreOptions, restoreBackup } from "./restore-backup.ts";

const options: RestoreOptions = { replace: false, now: () => 7 };

/** A data directory that control has left, with a backup of it. */
async function withBackup(t: Test, workspaces = true) {
  const control = await startControl(t);
  const { directory } = control;
  const { id } = (await control.call("POST", "/v1/sandboxes", { body: appBody })).body;
  const made = (await control.call("POST", "/v1/backups", { body: { workspaces } })).body;
  return { control, directory, id: id as string, backup: join(directory, "backups", made.id) };
}

t.test("restoreBackup() refuses what is no backup or is damaged, and changes nothing", async (t) => {
  const { control, backup } = await withBackup(t);
  await control.stop();
  const target = newDirectory(t);
  await t.rejects(restoreBackup(newDirectory(t), target, options), { name: "RestoreError", message: /no backup/ });
  const path = join(backup, "sandboxd.db");
  const whole = readFileSync(path);
  for (const [name, damage] of [
    ["cut short", () => writeFileSync(path, whole.subarray(0, whole.length / 2))],
    ["overwritten", () => writeSync(openSync(path, "r+"), Buffer.alloc(12_000, 1), 0, 12_000, 8_192)],
    ["nothing", () => writeFileSync(path, "")],
  ] as const) {
    writeFileSync(path, whole);
    damage();
    await t.rejects(restoreBackup(backup, target, options), { name: "RestoreError", message: /cannot be used/ }, name);
    t.notOk(existsSync(join(target, "state", "sandboxd.db")), name);
    t.notOk(existsSync(join(target, "workspaces")), name);
  }
  writeFileSync(path, whole);
  const newer = new Sqlite(path);
  newer.exec("INSERT INTO schema_migrations VALUES (9999, '9999-of-tomorrow.sql', 0)");
  newer.close();
  await t.rejects(restoreBackup(backup, target, options), { message: /9999-of-tomorrow/ }, "of a newer program");
});

t.test("restoreBackup() sets the database aside that was there, with its log", async (t) => {
  const { control, directory, id, backup } = await withBackup(t, false);
  await control.call("PATCH", `/v1/sandboxes/${id}`, { body: { labels: { later: "yes" } } });
  await t.rejects(restoreBackup(backup, directory, { ...options, replace: true }), { name: "DataLockedError" });
  await control.stop();
  const state = (name: string) => join(directory, "state", name);
  // As kill -9 leaves it, with what was written last in the log alone.
  const killed = new Sqlite(state("sandboxd.db"));
  killed.exec("UPDATE sandboxes SET generation = 4711");
  copyFileSync(state("sandboxd.db-wal"), state("wal"));
  killed.close();
  copyFileSync(state("wal"), state("sandboxd.db-wal"));
  await t.rejects(restoreBackup(backup, directory, options), { name: "RestoreError", message: /there already/ });
  await restoreBackup(backup, directory, { ...options, replace: true });
  t.ok(readdirSync(join(directory, "state")).includes("sandboxd-before-7.db"));
  const again = await startControl(t, {}, directory);
  t.match((await again.call("GET", `/v1/sandboxes/${id}`)).body, { labels: {}, status: "stopped", generation: 3 });
});
