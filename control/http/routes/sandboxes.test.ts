import t, { type Test } from "tap";
import { appBody, startControl } from "../../testing/control.ts";

async function withSandbox(t: Test, body: object = {}) {
  const control = await startControl(t);
  const { status, body: sandbox } = await control.call("POST", "/v1/sandboxes", { body: { ...appBody, ...body } });
  t.equal(status, 201);
  return { control, sandbox, path: `/v1/sandboxes/${sandbox.id}` };
}

t.test("POST /v1/sandboxes answers with the running resource", async (t) => {
  const control = await startControl(t, { PREVIEW_DOMAIN: "example.com", PREVIEW_SCHEME: "https" });
  const answer = await control.call("POST", "/v1/sandboxes", { body: { ...appBody, external: { user_id: "ada" } } });
  t.equal(answer.status, 201);
  const { id } = answer.body;
  t.match(id, /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/);
  t.equal(answer.headers.location, `/v1/sandboxes/${id}`);
  const url = `https://s-${id.toLowerCase()}-3000.preview.example.com/`;
  const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
  t.match(answer.body, {
    ...{ status: "running", status_reason: null, generation: Number, ports: [3000], previews: [{ port: 3000, url }] },
    ...{ visibility: "public", idle_policy: "sleep", idle_seconds: 2100, sleep_mode: "stop" },
    ...{ image: null, cmd: appBody.cmd, env: {}, memory_high: "4G", memory_max: "10G", cpu: null, disk: null },
    ...{ host_policy: "localhost", wake_policy: {}, cors: null, schedule: null, labels: {} },
    ...{ external: { user_id: "ada", project_id: null, workspace_id: null }, keepalive_until: null },
    ...{ created_at: time, updated_at: time, started_at: time, last_active_at: time },
  });
});

t.test("POST /v1/sandboxes refuses what it does not understand, naming the field", async (t) => {
  const control = await startControl(t);
  const bad: [object, RegExp][] = [
    [{ ...appBody, prots: [1] }, /prots/],
    [{ cmd: ["a"] }, /ports/],
    [{ ...appBody, ports: [] }, /ports/],
    [{ ...appBody, ports: [0] }, /ports\[0\]/],
    [{ ...appBody, ports: [65_536] }, /ports\[0\]/],
    [{ ...appBody, ports: ["3000"] }, /ports\[0\]/],
    [{ ...appBody, ports: [1, 1] }, /ports/],
    [{ ports: [3000] }, /cmd/],
    [{ ...appBody, cmd: [] }, /cmd/],
    [{ ...appBody, id: "x" }, /id/],
    [{ ...appBody, visibility: "secret" }, /visibility.*public.*private/],
    [{ ...appBody, env: { "A-B": "c" } }, /A-B/],
    [{ ...appBody, env: { A: 1 } }, /env\.A/],
    [{ ...appBody, memory_max: "10GB" }, /memory_max/],
    [{ ...appBody, wake_policy: { browsing: {} } }, /browsing/],
    [{ ...appBody, wake_policy: { api: { wake: "yes" } } }, /wake_policy\.api\.wake/],
    [{ ...appBody, external: { user: "x" } }, /user/],
    [{ ...appBody, idle_seconds: 0 }, /idle_seconds/],
  ];
  for (const [body, message] of bad) {
    const answer = await control.call("POST", "/v1/sandboxes", { body });
    t.equal(answer.status, 400, JSON.stringify(body));
    t.match(answer.body, { error: { code: "invalid_request", message, retryable: false } }, JSON.stringify(body));
  }
  t.same((await control.call("GET", "/v1/sandboxes")).body, { items: [], next_cursor: null });
});

t.test("POST /v1/sandboxes leaves nothing behind of what does not start", async (t) => {
  const control = await startControl(t);
  const exited = await control.call("POST", "/v1/sandboxes", {
    body: { ports: [3000], cmd: ["/bin/sh", "-c", "echo no luck; exit 3"] },
  });
  t.equal(exited.status, 422);
  const error = { code: "exited", retryable: false, exit_code: 3, signal: null, log_tail: ["no luck"] };
  t.match(exited.body, { error });
  const missing = await control.call("POST", "/v1/sandboxes", { body: { ports: [3000], cmd: ["/no/such/program"] } });
  t.equal(missing.status, 422);
  t.match(missing.body, { error: { code: "start_failed", retryable: false } });
  t.same((await control.call("GET", "/sandboxes")).body, []);
});

t.test("POST /v1/sandboxes?wait=none answers at once, and ?wait= of a read waits for it", async (t) => {
  const control = await startControl(t);
  const { status, body } = await control.call("POST", "/v1/sandboxes?wait=none", { body: appBody });
  t.equal(status, 201);
  t.equal(body.status, "creating");
  const waited = await control.call("GET", `/v1/sandboxes/${body.id}?wait=running&timeout_seconds=30`);
  t.match(waited.body, { status: "running" });
});

t.test("POST /v1/sandboxes with an id takes either case, once", async (t) => {
  const control = await startControl(t);
  const id = "01jb2q8z6x3v9k4m7n0p5r1s2t";
  const first = await control.call("POST", "/v1/sandboxes", { body: { ...appBody, id } });
  t.match(first, { status: 201, body: { id: id.toUpperCase() } });
  const second = await control.call("POST", "/v1/sandboxes", { body: { ...appBody, id: id.toUpperCase() } });
  t.match(second, { status: 409, body: { error: { code: "already_exists" } } });
});

t.test("POST /v1/sandboxes with an Idempotency-Key gives the first answer again", async (t) => {
  const control = await startControl(t);
  const keyed = (key: string, body: object) =>
    control.call("POST", "/v1/sandboxes", { body, headers: { "idempotency-key": key } });
  const [first, second] = await Promise.all([
    keyed("a", appBody),
    keyed("a", { cmd: appBody.cmd, ports: appBody.ports }),
  ]);
  t.equal(first.text, second.text);
  t.equal(second.headers.location, `/v1/sandboxes/${first.body.id}`);
  t.match(await keyed("a", { ...appBody, ports: [4000] }), {
    status: 409,
    body: { error: { code: "idempotency_conflict" } },
  });
  t.equal((await control.call("GET", "/sandboxes")).body.length, 1);
  t.not((await keyed("b", appBody)).body.id, first.body.id);
  t.match(await keyed("", appBody), { status: 400 });
  const failing = { ports: [3000], cmd: ["/no/such/program"] };
  const refusal = await keyed("c", failing);
  t.match(refusal, { status: 422 });
  t.equal((await keyed("c", failing)).text, refusal.text);
});

t.test("GET /v1/sandboxes/{id} takes either case, and 404 for what is no id", async (t) => {
  const { control, sandbox } = await withSandbox(t);
  const read = await control.call("GET", `/v1/sandboxes/${sandbox.id.toLowerCase()}`);
  t.same(read.body, sandbox);
  t.equal(read.headers.etag, `"${sandbox.generation}"`);
  for (const id of ["nonsense", "01JB2Q8Z6X3V9K4M7N0P5R1S2T", `${sandbox.id}0`]) {
    t.match(
      await control.call("GET", `/v1/sandboxes/${id}`),
      { status: 404, body: { error: { code: "not_found" } } },
      id,
    );
  }
});

t.test("GET /v1/sandboxes/{id}?wait= gives up after its time with what there is", async (t) => {
  const { control, path } = await withSandbox(t);
  const waited = await control.call("GET", `${path}?wait=stopped&timeout_seconds=0`);
  t.match(waited, { status: 200, body: { status: "running" } });
  t.match(await control.call("GET", `${path}?wait=asleep`), { status: 400 });
  t.match(await control.call("GET", `${path}?wiat=running`), { status: 400, body: { error: { message: /wiat/ } } });
});

t.test("PATCH /v1/sandboxes/{id} merges, and a null takes back", async (t) => {
  const { control, path, sandbox } = await withSandbox(t, { env: { A: "1", B: "2" }, labels: { team: "blue" } });
  const patch = {
    ...{ visibility: "private", idle_seconds: 60, env: { A: null, C: "3" }, labels: null },
    wake_policy: { crawler: { wake: true }, api: { extend: false } },
    host_policy: { ports: { 3000: "preserve" } },
  };
  const patched = await control.call("PATCH", path, { body: patch });
  t.match(patched, {
    status: 200,
    body: {
      ...{ visibility: "private", idle_seconds: 60, env: { B: "2", C: "3" }, status: "running" },
      wake_policy: { crawler: { wake: true }, api: { extend: false } },
      host_policy: { default: "localhost", ports: { 3000: "preserve" } },
    },
  });
  t.same(patched.body.labels, {});
  t.equal(patched.body.generation, sandbox.generation + 1);
  const again = { idle_seconds: null, wake_policy: { crawler: null, api: { wake: false } }, host_policy: "preserve" };
  const back = await control.call("PATCH", path, {
    body: again,
    headers: { "content-type": "application/merge-patch+json" },
  });
  t.match(back.body, { idle_seconds: 2100, host_policy: "preserve" });
  t.same(back.body.wake_policy, { api: { extend: false, wake: false } });
});

t.test("PATCH /v1/sandboxes/{id} guards with If-Match and refuses what it must not change", async (t) => {
  const { control, path, sandbox } = await withSandbox(t);
  const body = { labels: { a: "b" } };
  const patch = (headers: Record<string, string>, patched: object = body) =>
    control.call("PATCH", path, { body: patched, headers });
  t.match(await patch({ "if-match": '"999"' }), { status: 412, body: { error: { code: "precondition_failed" } } });
  t.match(await patch({ "if-match": "nonsense" }), { status: 412 });
  t.match(await patch({ "if-match": `"${sandbox.generation}"` }), { status: 200 });
  t.match(await patch({ "if-match": "*" }), { status: 200 });
  t.match(await patch({}, { id: sandbox.id }), { status: 400, body: { error: { message: /id/ } } });
  t.match(await patch({}, { status: "stopped" }), { status: 400, body: { error: { message: /status/ } } });
  t.match(await patch({}, { cmd: null }), { status: 400, body: { error: { message: /cmd/ } } });
});

t.test("DELETE /v1/sandboxes/{id} removes it once", async (t) => {
  const { control, path } = await withSandbox(t);
  const removed = await control.call("DELETE", path);
  t.equal(removed.status, 204);
  t.equal(removed.text, "");
  t.match(await control.call("DELETE", path), { status: 404, body: { error: { code: "not_found" } } });
});

t.test("GET /v1/sandboxes narrows and pages, newest first", async (t) => {
  const control = await startControl(t);
  const ids: string[] = [];
  for (const team of ["blue", "blue", "red"]) {
    const external = { user_id: team === "red" ? "eve" : "ada" };
    const { body } = await control.call("POST", "/v1/sandboxes", { body: { ...appBody, labels: { team }, external } });
    ids.unshift(body.id);
  }
  const list = async (query: string) => (await control.call("GET", `/v1/sandboxes?${query}`)).body;
  const idsOf = (page: { items: { id: string }[] }) => page.items.map(({ id }) => id);
  const first = await list("limit=2");
  t.same(idsOf(first), ids.slice(0, 2));
  const second = await list(`limit=2&cursor=${first.next_cursor}`);
  t.same(idsOf(second), ids.slice(2));
  t.equal(second.next_cursor, null);
  t.same(idsOf(await list("label=team%3Dblue")), ids.slice(1));
  t.same(idsOf(await list("external_user_id=eve&status=running")), ids.slice(0, 1));
  t.same(idsOf(await list("status=stopped")), []);
  for (const bad of ["limit=0", "limit=201", "limit=x", "cursor=nonsense", "label=team", "status=asleep", "page=2"]) {
    t.match(
      await control.call("GET", `/v1/sandboxes?${bad}`),
      { status: 400, body: { error: { code: "invalid_request" } } },
      bad,
    );
  }
});
