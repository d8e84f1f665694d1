import { existsSync } from "node:fs";
import { join } from "node:path";
import t, { type Test } from "tap";
import { appBody, startControl } from "../../testing/control.ts";

async function withOwners(t: Test, variables: Record<string, string> = {}) {
  const control = await startControl(t, variables);
  const create = async (external: object) =>
    (await control.call("POST", "/v1/sandboxes", { body: { ...appBody, external } })).body.id as string;
  const workspace = (id: string) => existsSync(join(control.directory, "workspaces", id));
  return { control, create, workspace };
}

t.test("POST /v1/external-users/{id}/purge removes everything of one user, and says so in the audit log", async (t) => {
  const { control, create, workspace } = await withOwners(t);
  const [shop, blog] = [await create({ user_id: "ada", project_id: "shop" }), await create({ user_id: "ada" })];
  const eve = await create({ user_id: "eve", project_id: "shop" });
  await control.call("DELETE", `/sandbox/${blog}`);
  t.ok(workspace(blog), "its workspace was kept");
  const purged = await control.call("POST", "/v1/external-users/ada/purge");
  t.match(purged, { status: 200, body: { purged_count: 2 } });
  t.same([shop, blog, eve].map(workspace), [false, false, true]);
  t.match((await control.call("GET", "/v1/sandboxes")).body.items, [{ id: eve }]);
  t.match(await control.call("POST", "/v1/external-users/ada/purge"), { body: { purged_count: 0 } });
  const { items } = (await control.call("GET", "/v1/audit?action=sandbox.purge")).body;
  t.same(items.map(({ target }: { target: string }) => target).sort(), [shop, blog].sort());
  t.match((await control.call("GET", "/v1/audit?action=external-user.purge")).body.items[1], { target: "ada" });
});

t.test("POST /external-projects/{id}/purge removes everything of one project, under both paths", async (t) => {
  const { control, create } = await withOwners(t);
  const name = "shop/ä é,1";
  for (const user_id of ["ada", "eve"]) await create({ user_id, project_id: name });
  const other = await create({ user_id: "ada", project_id: "blog" });
  const path = `external-projects/${encodeURIComponent(name)}/purge`;
  t.match(await control.call("POST", `/${path}`), { status: 200, body: { purged_count: 2 } });
  t.match((await control.call("GET", "/sandboxes")).body, [{ id: other }]);
  t.match(await control.call("POST", `/v1/${path}`), { status: 200, body: { purged_count: 0 } });
  const refused = await control.call("POST", `/${path}`, { body: { force: true } });
  t.match(refused, { status: 400, body: { error: String } });
});

t.test("POST /sandbox/{id}/claim makes a sandbox or a kept workspace somebody else's", async (t) => {
  const { control, create } = await withOwners(t);
  const id = await create({ user_id: "local", project_id: "p", workspace_id: "w" });
  const body = { external_user_id: "ada", external_project_id: "shop" };
  const claimed = await control.call("POST", `/sandbox/${id}/claim`, { body });
  t.match(claimed, { status: 200, body: { id, external_user_id: "ada", claimed: true } });
  t.match((await control.call("GET", `/v1/sandboxes/${id}`)).body.external, {
    ...{ user_id: "ada", project_id: "shop", workspace_id: null },
  });
  await control.call("DELETE", `/sandbox/${id}`);
  const eve = { external_user_id: "eve" };
  t.match(await control.call("POST", `/v1/sandboxes/${id.toLowerCase()}/claim`, { body: eve }), { status: 200 });
  const attach = (user_id: string) =>
    control.call("POST", "/v1/sandboxes", { body: { ...appBody, id, external: { user_id } } });
  t.match(await attach("ada"), { status: 409, body: { error: { code: "workspace_owner_mismatch" } } });
  t.match(await attach("eve"), { status: 201 });
  for (const bad of [{}, { external_user_id: "" }, { external_user_id: null }, { ...body, name: "x" }])
    t.match(await control.call("POST", `/sandbox/${id}/claim`, { body: bad }), { status: 400 });
  const nobody = "01JB2Q8Z6X3V9K4M7N0P5R1S2T";
  t.match(await control.call("POST", `/v1/sandboxes/${nobody}/claim`, { body }), { status: 404 });
});

t.test("limits of an external user are refused as 403 and 429, and shown", async (t) => {
  const { control, create } = await withOwners(t, {
    ...{ SANDBOXD_USER_MAX_SANDBOXES: "2", SANDBOXD_USER_MAX_RUNNING: "1", SANDBOXD_USER_MAX_MEMORY: "20G" },
  });
  const external = { user_id: "ada" };
  const first = await create(external);
  const tooMany = await control.call("POST", "/v1/sandboxes", { body: { ...appBody, external } });
  t.match(tooMany, {
    ...{ status: 429, headers: { "retry-after": String } },
    body: { error: { code: "too_many_requests", retryable: true } },
  });
  await control.call("POST", `/v1/sandboxes/${first}/stop`);
  await create(external);
  t.match(await control.call("POST", `/v1/sandboxes/${first}/wake`), {
    ...{ status: 429, body: { error: { code: "too_many_requests" } } },
  });
  t.match(await control.call("POST", `/wake/${first}`), { status: 429, body: { error: /awake/ } });
  t.match(await control.callSocket("POST", `/gateway/sandboxes/${first}/wake`, { body: { class: "navigation" } }), {
    body: { outcome: "refused", refusal: { code: "too_many_requests" } },
  });
  const third = await control.call("POST", "/v1/sandboxes", { body: { ...appBody, external } });
  t.match(third, { status: 403, body: { error: { code: "forbidden", retryable: false } } });
  t.same((await control.call("GET", "/v1/external-users/ada")).body, {
    ...{ id: "ada", sandboxes: 2, running: 1, memory_bytes: 10 * 2 ** 30 },
    limits: { sandboxes: 2, running: 1, memory_bytes: 20 * 2 ** 30 },
  });
});
