import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Sqlite from "better-sqlite3";
import t, { type Test } from "tap";
import { newDirectory, startControl } from "../testing/control.ts";
import { originalIds, writeOriginalState } from "../testing/original-state.ts";

const { running, alwaysOn, failed, removed } = originalIds;
const at = (seconds: number) => new Date(seconds * 1000).toISOString();

async function startOnOriginal(t: Test) {
  const directory = newDirectory(t);
  writeOriginalState(join(directory, "state", "sandboxd.db"));
  const control = await startControl(t, {}, directory);
  return { directory, control };
}

t.test("adoptOriginal() takes over every sandbox, asleep, with what was known of it", async (t) => {
  const { control } = await startOnOriginal(t);
  const { body } = await control.call("GET", "/sandboxes");
  t.same(body.map(({ id }: { id: string }) => id).sort(), [running, alwaysOn, failed]);
  t.match((await control.call("GET", `/v1/sandboxes/${running}`)).body, {
    status: "stopped",
    status_reason: null,
    ports: [3000, 5173],
    visibility: "private",
    memory_high: "2G",
    idle_policy: "sleep",
    external: { user_id: "ada", project_id: "shop", workspace_id: null },
    created_at: at(1_780_000_000),
    last_active_at: at(1_780_000_200),
    keepalive_until: at(4_000_000_000),
  });
  t.match((await control.call("GET", `/v1/sandboxes/${alwaysOn}`)).body, {
    status: "stopped",
    idle_policy: "always_on",
  });
  t.match((await control.call("GET", `/v1/sandboxes/${failed}`)).body, {
    status: "error",
    status_reason: { code: "start_failed", message: "no space left" },
  });
});

t.test("adoptOriginal() keeps workspaces without a sandbox for their owners", async (t) => {
  const { control, directory } = await startOnOriginal(t);
  const app = join(directory, "workspaces", removed, "workspace", "app");
  mkdirSync(app, { recursive: true });
  writeFileSync(join(app, "server.js"), "console.log('still here'); setInterval(() => {}, 1000);");
  const body = { id: removed, ports: [3000], cmd: ["node", "server.js"], external: { user_id: "ada" } };
  t.match(await control.call("POST", "/v1/sandboxes", { body }), { status: 409 });
  const created = await control.call("POST", "/v1/sandboxes", { body: { ...body, external: { user_id: "eve" } } });
  t.equal(created.status, 201, created.text);
  for (;;) {
    const { text } = await control.call("GET", `/v1/sandboxes/${removed}/logs`);
    if (text.includes("still here")) break;
  }
});

t.test("adoptOriginal() wakes what it took over, in the workspace that it had", async (t) => {
  const { control, directory } = await startOnOriginal(t);
  const app = join(directory, "workspaces", running, "workspace", "app");
  mkdirSync(app, { recursive: true });
  writeFileSync(join(app, "server.js"), "console.log('still here'); setInterval(() => {}, 1000);");
  await control.call("PATCH", `/v1/sandboxes/${running}`, { body: { cmd: ["node", "server.js"] } });
  t.match(await control.call("POST", `/wake/${running}`), { status: 200, body: { status: "running" } });
});

t.test("adoptOriginal() leaves a copy of the file, and takes over once", async (t) => {
  const { control, directory } = await startOnOriginal(t);
  const copy = new Sqlite(join(directory, "state", "sandboxd-original.db"), { readonly: true });
  t.equal(copy.prepare("SELECT count(*) FROM sandbox").pluck().get(), 3);
  t.equal(copy.prepare("SELECT count(*) FROM audit_log").pluck().get(), 1);
  copy.close();
  await control.call("DELETE", `/v1/sandboxes/${failed}`);
  await control.stop();
  const again = await startControl(t, {}, directory);
  t.equal((await again.call("GET", "/sandboxes")).body.length, 2);
  await again.stop();
  const database = new Sqlite(join(directory, "state", "sandboxd.db"));
  t.same(database.prepare("SELECT name FROM sqlite_schema WHERE name GLOB 'original_*'").all(), []);
  database.close();
});

t.test("adoptOriginal() has nothing to do with a state of our own", async (t) => {
  const directory = newDirectory(t);
  await (await startControl(t, {}, directory)).stop();
  await (await startControl(t, {}, directory)).stop();
  t.notOk(existsSync(join(directory, "state", "sandboxd-original.db")));
});
