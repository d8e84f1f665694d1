import t from "tap";
import { appBody, startControl } from "../../testing/control.ts";

t.test("the short forms do what the long ones do", async (t) => {
  const control = await startControl(t);
  const created = await control.call("POST", "/sandbox", { body: appBody });
  t.match(created, { status: 201, body: { status: "running" } });
  const { id } = created.body;
  t.same((await control.call("GET", "/sandboxes")).body, [created.body]);
  const shown = await control.call("GET", `/sandbox/${id.toLowerCase()}`);
  t.match(shown, { status: 200, body: { row: created.body, live_state: "running", runtime: { pid: Number } } });
  const soon = new Date(Date.now() + 60_000).toISOString();
  t.match(await control.call("POST", `/sandbox/${id}/keepalive`, { body: { until: soon } }), {
    body: { keepalive_until: soon },
  });
  await control.call("POST", `/v1/sandboxes/${id}/stop`);
  t.match(await control.call("GET", `/sandbox/${id}`), { body: { live_state: "exited", row: { status: "stopped" } } });
  t.match(await control.call("POST", `/wake/${id}`), {
    status: 200,
    body: { id, status: "running", wake_duration_ms: Number },
  });
});

t.test("POST /sandbox/{id}/keepalive counts seconds for whoever does", async (t) => {
  const control = await startControl(t);
  const { id } = (await control.call("POST", "/sandbox", { body: appBody })).body;
  const until = Math.floor(Date.now() / 1000) + 60;
  const kept = await control.call("POST", `/sandbox/${id}/keepalive`, { body: { until } });
  t.same([kept.status, kept.body], [200, { id, keepalive_until: until }]);
  const { body } = await control.call("GET", `/v1/sandboxes/${id}`);
  t.equal(body.keepalive_until, new Date(until * 1000).toISOString());
  for (const bad of [1, 1e15, 1.5, null]) {
    const refused = await control.call("POST", `/sandbox/${id}/keepalive`, { body: { until: bad } });
    t.match(refused, { status: 400, body: { error: String } }, String(bad));
  }
});

t.test("GET /sandboxes shows those of one owner alone when it is asked to", async (t) => {
  const control = await startControl(t);
  const create = async (external: object) =>
    (await control.call("POST", "/sandbox", { body: { ...appBody, external } })).body.id as string;
  const shop = await create({ user_id: "ada", project_id: "shop" });
  const blog = await create({ user_id: "ada", project_id: "blog" });
  await create({ user_id: "eve", project_id: "shop" });
  const list = async (query: string) =>
    (await control.call("GET", `/sandboxes?${query}`)).body.map(({ id }: { id: string }) => id);
  t.same(await list("external_user_id=ada"), [blog, shop]);
  t.same(await list("external_user_id=ada&external_project_id=shop"), [shop]);
  t.same(await list("external_user_id=nobody"), []);
  t.match(await control.call("GET", "/sandboxes?user=ada"), { status: 400, body: { error: /user/ } });
});

t.test("DELETE /sandbox/{id} keeps the workspace for its owner, purge does not", async (t) => {
  const control = await startControl(t);
  const script =
    "const fs = require('fs'); console.log(fs.existsSync('mark')); fs.writeFileSync('mark', ''); setInterval(() => {}, 1000)";
  const body = { ports: [3000], cmd: [process.execPath, "-e", script], external: { user_id: "ada" } };
  const { id } = (await control.call("POST", "/sandbox", { body })).body;
  const firstLine = async () => {
    for (;;) {
      // The app's first word may come after the answer to its creation.
      const { text } = await control.call("GET", `/v1/sandboxes/${id}/logs`);
      if (text.includes("\n")) return text.split("\n")[0];
    }
  };
  t.equal(await firstLine(), "false");
  t.match(await control.call("DELETE", `/sandbox/${id}`), { status: 204, text: "" });
  t.match(await control.call("GET", `/sandbox/${id}`), { status: 404 });
  const stranger = { ...body, id, external: { user_id: "eve" } };
  t.match(await control.call("POST", "/sandbox", { body: stranger }), { status: 409, body: { error: String } });
  const refused = await control.call("POST", "/v1/sandboxes", { body: stranger });
  t.match(refused, { status: 409, body: { error: { code: "workspace_owner_mismatch" } } });
  t.match(await control.call("POST", "/sandbox", { body: { ...body, id } }), { status: 201, body: { id } });
  t.equal(await firstLine(), "true");
  t.match(await control.call("POST", `/sandbox/${id}/purge`), {
    status: 200,
    body: { purged: true, freed_bytes: Number },
  });
  t.match(await control.call("POST", `/sandbox/${id}/purge`), { status: 404 });
  t.match(await control.call("POST", "/sandbox", { body: stranger }), { status: 201 });
  t.equal(await firstLine(), "false");
});

t.test("GET /sandboxes narrows as the list does, and has no pages", async (t) => {
  const control = await startControl(t);
  const ids: string[] = [];
  for (const team of ["blue", "red", "blue"]) {
    const { body } = await control.call("POST", "/sandbox", { body: { ...appBody, labels: { team } } });
    ids.unshift(body.id);
  }
  await control.call("POST", `/v1/sandboxes/${ids[0]}/stop`);
  const idsOf = async (query: string) =>
    (await control.call("GET", `/sandboxes${query}`)).body.map(({ id }: { id: string }) => id);
  t.same(await idsOf(""), ids);
  t.same(await idsOf("?label=team%3Dblue"), [ids[0], ids[2]]);
  t.same(await idsOf("?status=running&label=team%3Dblue"), [ids[2]]);
  t.same(await idsOf("?external_user_id=nobody"), []);
  for (const bad of ["status=asleep", "limit=2", "user=ada"]) {
    t.match(await control.call("GET", `/sandboxes?${bad}`), { status: 400, body: { error: String } }, bad);
  }
});

t.test("the short forms' errors are a mere message", async (t) => {
  const control = await startControl(t);
  t.match(await control.call("POST", "/sandbox", { body: { ports: [] } }), { status: 400, body: { error: /ports/ } });
  t.match(await control.call("POST", "/sandbox", { raw: "{" }), { status: 400, body: { error: String } });
  t.match(await control.call("GET", "/sandbox/nonsense"), { status: 404, body: { error: "There is no such sandbox" } });
  t.match(await control.call("POST", "/wake/01JB2Q8Z6X3V9K4M7N0P5R1S2T"), { status: 404, body: { error: String } });
});
