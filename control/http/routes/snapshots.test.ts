import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t, { type Test } from "tap";
import type { Variables } from "#contract/environment.ts";
import { appBody, startControl } from "../../testing/control.ts";

async function withFiles(t: Test, variables: Variables = {}) {
  const control = await startControl(t, variables);
  const file = (id: string, name = "file") => join(control.directory, "workspaces", id, "workspace", "app", name);
  const create = async (more: object = {}) => {
    const created = await control.call("POST", "/v1/sandboxes", { body: { ...appBody, ...more } });
    return created.body.id as string;
  };
  const take = async (id: string, body: object = {}) =>
    (await control.call("POST", `/v1/sandboxes/${id}/snapshots`, { body })).body;
  const kept = () => readdirSync(join(control.directory, "snapshots"));
  return { control, file, create, take, kept };
}

t.test("a snapshot of a running sandbox is restored into it, and woken", async (t) => {
  const { control, file, create, take, kept } = await withFiles(t);
  const id = await create({ external: { user_id: "ada" } });
  writeFileSync(file(id), "one");
  const taken = await control.call("POST", `/v1/sandboxes/${id}/snapshots`, { body: { name: "first" } });
  t.match(taken, {
    status: 201,
    body: {
      ...{ sandbox_id: id, name: "first", cause: "operator", external: { user_id: "ada" }, templates: [] },
      ...{ size_bytes: Number, stood_still_ms: Number, skipped: [], skipped_count: 0, created_at: String },
    },
  });
  t.match((await control.call("GET", `/v1/sandboxes/${id}`)).body, { status: "running" });
  const snapshot = taken.body.id as string;
  t.same(kept(), [snapshot]);
  writeFileSync(file(id), "two");
  writeFileSync(file(id, "more"), "more");
  const { body: before } = await control.call("GET", `/sandbox/${id}`);
  const restored = await control.call("POST", `/v1/sandboxes/${id}/restore`, { body: { snapshot_id: snapshot } });
  t.match(restored, { status: 200, body: { id, status: "running" } });
  t.equal(readFileSync(file(id), "utf8"), "one");
  t.notOk(existsSync(file(id, "more")));
  t.not((await control.call("GET", `/sandbox/${id}`)).body.runtime.pid, before.runtime.pid);
  t.same(readdirSync(join(control.directory, "workspaces")), [id], "nothing is left beside it");
  await control.call("POST", `/v1/sandboxes/${id}/stop`);
  const second = await take(id);
  const asleep = await control.call("POST", `/v1/sandboxes/${id}/restore`, { body: { snapshot_id: snapshot } });
  t.match(asleep, { status: 200, body: { status: "stopped" } }, "what slept sleeps on");
  const { body } = await control.call("GET", `/v1/sandboxes/${id}/snapshots`);
  t.match(body, { items: [{ id: second.id, stood_still_ms: 0 }, { id: snapshot }], next_cursor: null });
  const { items } = (await control.call("GET", `/v1/audit?target=${id}`)).body;
  const actions = items.map(({ action }: { action: string }) => action);
  t.same(actions.slice(0, 2), ["sandbox.restore", "snapshot.create"]);
});

t.test("a sandbox begins with a snapshot of its owner's, or with a template of anybody's", async (t) => {
  const { control, file, create, take } = await withFiles(t);
  const ada = { user_id: "ada" };
  const id = await create({ external: ada });
  writeFileSync(file(id), "seed");
  const snapshot = await take(id);
  const from = (more: object) => control.call("POST", "/v1/sandboxes", { body: { ...appBody, ...more } });
  const made = await from({ from_snapshot: snapshot.id.toLowerCase(), external: ada });
  t.match(made, { status: 201, body: { from_snapshot: snapshot.id } });
  t.equal(readFileSync(file(made.body.id), "utf8"), "seed");
  writeFileSync(file(made.body.id), "own");
  await control.call("POST", `/v1/sandboxes/${made.body.id}/restart`);
  t.equal(readFileSync(file(made.body.id), "utf8"), "own", "and is its own from then on");
  const strange = await from({ from_snapshot: snapshot.id, external: { user_id: "eve" } });
  t.match(strange, { status: 409, body: { error: { code: "workspace_owner_mismatch" } } });
  t.match(await from({ template: "node" }), { status: 404 });

  const put = await control.call("PUT", "/v1/templates/node", { body: { snapshot_id: snapshot.id } });
  t.match(put, { status: 200, body: { name: "node", snapshot_id: snapshot.id } });
  const templated = await from({ template: "node", external: { user_id: "eve" } });
  t.match(templated, { status: 201, body: { from_snapshot: snapshot.id } });
  t.equal(readFileSync(file(templated.body.id), "utf8"), "seed");
  t.match(await from({ template: "node", from_snapshot: snapshot.id }), { status: 400 });
  t.match(await control.call("GET", "/v1/templates"), { body: { items: [{ name: "node" }] } });
  const remove = () => control.call("DELETE", `/v1/snapshots/${snapshot.id}`);
  t.match(await remove(), { status: 409, body: { error: { code: "conflict", message: /node/ } } });
  t.match(await control.call("DELETE", "/v1/templates/node"), { status: 204 });
  t.match(await control.call("DELETE", "/v1/templates/node"), { status: 404 });
  t.match(await remove(), { status: 204 });
  t.match(await remove(), { status: 404 });
  t.match(await from({ from_snapshot: snapshot.id, external: ada }), { status: 404 });
});

t.test("snapshots go with their sandbox, unless they shall stay or a template names them", async (t) => {
  const { control, create, take, kept } = await withFiles(t);
  const external = { user_id: "ada", project_id: "shop" };
  const [gone, stays] = [await create({ external }), await create({ external })];
  const [, named, left] = [await take(gone), await take(gone), await take(stays)];
  await control.call("PUT", "/v1/templates/base", { body: { snapshot_id: named.id } });
  await control.call("DELETE", `/v1/sandboxes/${gone}`);
  await control.call("DELETE", `/v1/sandboxes/${stays}?keep_snapshots=true`);
  t.same(kept().sort(), [named.id, left.id].sort());
  t.match((await control.call("GET", `/v1/sandboxes/${stays}/snapshots`)).body.items, [{ id: left.id }]);
  t.match(await control.call("GET", `/v1/sandboxes/${gone.replace(/.$/, "0")}/snapshots`), { status: 404 });
  const list = async (query: string) => (await control.call("GET", `/v1/snapshots?${query}`)).body;
  t.match(await list("external_user_id=ada&limit=1"), { items: [{ id: left.id }], next_cursor: String });
  const { next_cursor } = await list("external_user_id=ada&limit=1");
  t.match(await list(`external_user_id=ada&limit=1&cursor=${next_cursor}`), {
    ...{ items: [{ id: named.id, templates: ["base"] }], next_cursor: null },
  });
  t.same((await list("external_project_id=blog")).items, []);
  await control.call("POST", "/v1/external-users/ada/purge");
  t.same([kept(), (await control.call("GET", "/v1/templates")).body.items], [[], []]);
});

t.test("retention keeps as many as it says, the newest, and what a template names", async (t) => {
  const { control, create, take, kept } = await withFiles(t, { SANDBOXD_SNAPSHOTS_KEEP: "2" });
  const id = await create();
  const taken = [];
  for (let n = 0; n < 2; n++) taken.push(await take(id));
  await control.call("PUT", "/v1/templates/base", { body: { snapshot_id: taken[0].id } });
  for (let n = 0; n < 3; n++) taken.push(await take(id));
  t.same(kept().sort(), [taken[0].id, taken[3].id, taken[4].id].sort());
  const patched = await control.call("PATCH", `/v1/sandboxes/${id}`, {
    body: { snapshots: { keep: 1, keep_days: 7 } },
  });
  t.match(patched.body.snapshots, { timezone: "UTC", at: [], keep: 1, keep_days: 7 });
  const last = await take(id);
  t.same(kept().sort(), [taken[0].id, last.id].sort());
  const wrong = await control.call("PATCH", `/v1/sandboxes/${id}`, { body: { snapshots: { at: ["61 * * * *"] } } });
  t.match(wrong, { status: 400, body: { error: { message: /snapshots/ } } });
});

t.test("the short forms take, list and restore snapshots as earlier clients do", async (t) => {
  const { control, file, create } = await withFiles(t);
  const id = await create();
  writeFileSync(file(id), "one");
  const taken = await control.call("POST", `/sandbox/${id}/snapshots`);
  t.match(taken, { status: 202, body: { ts: String, size_bytes: Number } });
  writeFileSync(file(id), "two");
  t.match((await control.call("GET", `/sandbox/${id}/snapshots`)).body, [{ ts: taken.body.ts }]);
  const restored = await control.call("POST", `/sandbox/${id}/restore`, { body: { snapshot: taken.body.ts } });
  t.match(restored, { status: 200 });
  t.equal(readFileSync(file(id), "utf8"), "one");
  const unknown = await control.call("POST", `/sandbox/${id}/restore`, { body: { snapshot: "nothing" } });
  t.match(unknown, { status: 404, body: { error: String } });
  const listed = await control.call("POST", "/v1/snapshots", { body: { source_sandbox_id: id, name: "n" } });
  t.match(listed, { status: 201, body: { name: "n" } });
});

t.test("a start of control sets right what is on the disk without a row, and the other way round", async (t) => {
  const { control, create, take, kept } = await withFiles(t);
  const id = await create();
  const [lost, there] = [await take(id), await take(id)];
  await control.stop();
  const place = (name: string) => join(control.directory, "snapshots", name);
  rmSync(place(lost.id), { recursive: true });
  for (const name of [id, `.${id}.partial`, `.${lost.id}.removed`])
    mkdirSync(join(place(name), "x"), { recursive: true });
  const again = await startControl(t, {}, control.directory);
  t.same(kept(), [there.id]);
  t.match((await again.call("GET", "/v1/snapshots")).body.items, [{ id: there.id }]);
});
