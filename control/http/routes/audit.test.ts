import { connect } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import t from "tap";
import { appBody, startControl } from "../../testing/control.ts";

const tokens = { SANDBOXD_API_TOKENS: "ada:ada-secret,eve:eve-secret:read" };
const edge = { host: "api.preview.localhost", "x-real-ip": "203.0.113.7", "x-forwarded-for": "203.0.113.7" };
const as = (secret: string) => ({ headers: { ...edge, authorization: `Bearer ${secret}` } });

t.test("the audit log says who did what from where, and nothing secret", async (t) => {
  const control = await startControl(t, tokens);
  const body = { ...appBody, env: { PASSWORD: "hunter2" }, labels: { a: "b" } };
  const { id } = (await control.callSocket("POST", "/v1/sandboxes", { body, ...as("ada-secret") })).body;
  await control.call("PATCH", `/v1/sandboxes/${id}`, { body: { visibility: "private" } });
  await control.callSocket("DELETE", `/v1/sandboxes/${id}`, as("eve-secret"));
  await control.callSocket("GET", "/v1/sandboxes", as("wrong-secret"));
  await control.call("POST", `/v1/sandboxes/${id}/stop`, { body: { nonsense: 1 } });
  const { items } = (await control.call("GET", "/v1/audit")).body;
  t.match(items, [
    { action: "sandbox.stop", target: id, outcome: "failed", actor: { kind: "operator" }, detail: { status: 400 } },
    {
      action: "sandbox.read",
      outcome: "refused",
      actor: { kind: "unknown" },
      ip: "203.0.113.7",
      detail: { status: 401 },
    },
    {
      action: "sandbox.remove",
      target: id,
      outcome: "refused",
      actor: { kind: "token", name: "eve" },
      detail: { status: 403 },
    },
    { action: "sandbox.change", target: id, outcome: "done", detail: { fields: ["visibility"] } },
    { action: "sandbox.create", target: id, outcome: "done", actor: { kind: "token", name: "ada" }, ip: "203.0.113.7" },
  ]);
  t.equal(items.length, 5, "reading is not recorded");
  t.notMatch(JSON.stringify(items), /hunter2|secret|createServer/);
});

t.test("the audit log is read by filters and page by page, and exported whole", async (t) => {
  const control = await startControl(t);
  for (let index = 0; index < 5; index++) await control.call("POST", `/v1/sandboxes/x${index}/stop`);
  const first = (await control.call("GET", "/v1/audit?limit=2")).body;
  t.equal(first.items.length, 2);
  const second = (await control.call("GET", `/v1/audit?limit=10&cursor=${first.next_cursor}`)).body;
  t.equal(second.items.length, 3);
  t.equal(second.next_cursor, null);
  const count = async (query: string) => (await control.call("GET", `/v1/audit?${query}`)).body.items.length;
  t.equal(await count("target=x1"), 1);
  t.equal(await count("action=sandbox.stop&actor=operator&outcome=failed"), 5);
  t.equal(await count("actor=ada"), 0);
  t.equal(await count(`from=${new Date(Date.now() + 60_000).toISOString()}`), 0);
  t.equal(await count(`to=${new Date(Date.now() + 60_000).toISOString()}`), 5);
  t.equal((await control.call("GET", "/v1/audit?from=yesterday")).status, 400);
  const whole = await control.call("GET", "/v1/audit", { headers: { accept: "application/x-ndjson" } });
  t.match(whole.headers["content-type"], "application/x-ndjson");
  const lines = whole.text.trimEnd().split("\n");
  t.same(
    lines.map((line) => JSON.parse(line).target),
    ["x4", "x3", "x2", "x1", "x0"],
  );
});

t.test("the audit log counts what a guesser does instead of growing by it", async (t) => {
  const control = await startControl(t, tokens);
  const guess = () => control.callSocket("GET", "/v1/sandboxes", { headers: edge });
  for (let index = 0; index < 40; index++) t.equal((await guess()).status, 401);
  t.equal((await control.call("GET", "/v1/audit")).body.items.length, 30);
});

t.test("preview refusals reach the audit log and the sandbox's explanation", async (t) => {
  const control = await startControl(t);
  const { id } = (await control.call("POST", "/v1/sandboxes", { body: appBody })).body;
  const refusal = { id, reason: "expired", place: "cookie", class: "navigation", address: "198.51.100.1", count: 3 };
  const report = { body: { worker: "w", refusals: [refusal] } };
  t.equal((await control.callSocket("POST", "/gateway/refusals", report)).status, 204);
  const [entry] = (await control.call("GET", "/v1/audit?action=preview.open")).body.items;
  t.match(entry, { target: id, ip: "198.51.100.1", outcome: "refused", detail: { reason: "expired", count: 3 } });
  const { recent } = (await control.call("GET", `/v1/sandboxes/${id}/explain`)).body;
  t.match(recent[0], {
    kind: "refuse",
    cause: "access",
    class: "navigation",
    credential: "cookie",
    outcome: "expired",
  });
});

t.test("the audit log is for admins", async (t) => {
  const control = await startControl(t, tokens);
  t.equal((await control.callSocket("GET", "/v1/audit", as("eve-secret"))).status, 403);
  t.equal((await control.callSocket("GET", "/v1/audit", as("ada-secret"))).status, 200);
});

t.test("a call is recorded although its caller does not wait for the answer", async (t) => {
  const control = await startControl(t);
  const { id } = (await control.call("POST", "/v1/sandboxes", { body: appBody })).body;
  const [host, port] = control.plane.address.split(":") as [string, string];
  const socket = connect(Number(port), host);
  socket.write(`DELETE /v1/sandboxes/${id} HTTP/1.1\r\nHost: localhost\r\n\r\n`, () => socket.destroy());
  const entries = async () => (await control.call("GET", "/v1/audit?action=sandbox.remove")).body.items;
  while ((await entries()).length === 0) await nextTurn();
  t.match(await entries(), [{ target: id }]);
});

t.test("a token that is taken for a share's name is not recorded", async (t) => {
  const control = await startControl(t);
  const { id } = (await control.call("POST", "/v1/sandboxes", { body: appBody })).body;
  const path = `/v1/sandboxes/${id}/shares`;
  const { url } = (await control.call("POST", path, { body: {} })).body;
  const token = new URL(url).searchParams.get("preview_token")!;
  t.equal((await control.call("DELETE", `${path}/${token}`)).status, 404);
  t.equal((await control.call("DELETE", `/v1/revocations/${token}`)).status, 404);
  const { text } = await control.call("GET", "/v1/audit");
  t.match(text, /share\.remove/);
  t.notOk(text.toLowerCase().includes(token.toLowerCase()));
});
