import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Sqlite from "better-sqlite3";
import t from "tap";
import { appBody, newDirectory, startControl } from "../../testing/control.ts";

t.test("POST /v1/backups copies the database while it is used, and workspaces when it shall", async (t) => {
  const control = await startControl(t);
  const secret = "of-the-sandbox-alone";
  const env = { TOKEN: { value: secret, secret: true } };
  const { id } = (await control.call("POST", "/v1/sandboxes", { body: { ...appBody, env } })).body;
  const kept = (await control.call("POST", "/v1/sandboxes", { body: appBody })).body.id;
  await control.call("DELETE", `/sandbox/${kept}`);
  writeFileSync(join(control.directory, "workspaces", id, "workspace", "app", "file"), "mine");
  const [made] = await Promise.all([
    control.call("POST", "/v1/backups", { body: { workspaces: true } }),
    ...Array.from({ length: 20 }, () => control.call("POST", `/v1/sandboxes/${id}/keepalive`, { raw: "{}" })),
  ]);
  t.match(made, {
    ...{ status: 201, body: { sandboxes: 1, workspaces: 2, failed_workspaces: [] } },
    body: { size_bytes: Number, database_bytes: Number, took_ms: Number, created_at: String },
  });
  const place = join(control.directory, "backups", made.body.id);
  t.same(readdirSync(place).sort(), ["backup.json", "sandboxd.db", "workspaces"]);
  t.same(readdirSync(join(place, "workspaces")).sort(), [id, kept].sort());
  t.equal(readFileSync(join(place, "workspaces", id, "workspace", "app", "file"), "utf8"), "mine");
  t.equal(statSync(place).mode & 0o777, 0o700);
  const copy = new Sqlite(join(place, "sandboxd.db"), { readonly: true });
  t.same(copy.prepare("SELECT id FROM sandboxes").pluck().all(), [id]);
  copy.close();
  t.notOk(readFileSync(join(place, "sandboxd.db")).includes(secret));
  t.match((await control.call("GET", `/v1/sandboxes/${id}`)).body, { status: "running" });
  t.match((await control.call("GET", "/v1/backups")).body, {
    items: [{ id: made.body.id, workspaces: 2 }],
    ...{ next_at: String, last_error: null },
  });
  const { text } = await control.call("GET", "/metrics");
  t.match(text, /^sandboxd_backup_last_seconds \d/m);
  t.match(text, /^sandboxd_backup_failed 0$/m);
});

t.test("backups are kept as many as shall be, and no half one", async (t) => {
  const control = await startControl(t, { SANDBOXD_BACKUPS_KEEP: "2", SANDBOXD_BACKUP_SCHEDULE: "off" });
  const ids = [];
  for (let n = 0; n < 4; n++) ids.push((await control.call("POST", "/v1/backups")).body.id);
  const { body } = await control.call("GET", "/v1/backups");
  t.match(body, { items: [{ id: ids[3], workspaces: null }, { id: ids[2] }], next_at: null });
  t.equal(body.items.length, 2);
  const place = join(control.directory, "backups");
  t.same(readdirSync(place).sort(), ids.slice(2));
  await control.stop();
  mkdirSync(join(place, `.${ids[0]}.partial`, "workspaces"), { recursive: true });
  const again = await startControl(t, { SANDBOXD_BACKUP_SCHEDULE: "off" }, control.directory);
  t.same(readdirSync(place).sort(), ids.slice(2), "what a crash left is gone");
  t.match((await again.call("GET", "/metrics")).text, /^sandboxd_backup_last_seconds \d/m);
});

t.test("a backup that fails is told, and the one before stays", async (t) => {
  const directory = newDirectory(t);
  writeFileSync(join(directory, "backups"), "in the way");
  const control = await startControl(t, {}, directory);
  t.match(await control.call("POST", "/v1/backups"), { status: 500 });
  t.match((await control.call("GET", "/v1/backups")).body, {
    items: [],
    last_error: { time: String, message: String },
  });
  t.match((await control.call("GET", "/metrics")).text, /^sandboxd_backup_failed 1$/m);
  rmSync(join(directory, "backups"));
  t.match(await control.call("POST", "/v1/backups"), { status: 201 });
  t.match((await control.call("GET", "/v1/backups")).body, { last_error: null });
});
