import t from "tap";
import { appBody, startControl } from "../../testing/control.ts";

t.test("GET /healthz and /readyz", async (t) => {
  const control = await startControl(t);
  t.match(await control.call("GET", "/healthz"), { status: 200, text: /^ok$/ });
  t.match(await control.call("GET", "/readyz"), { status: 200, text: /^ready$/ });
});

t.test("GET /metrics counts sandboxes, wakes, stops, calls and transactions", async (t) => {
  const control = await startControl(t);
  const { id } = (await control.call("POST", "/v1/sandboxes", { body: appBody })).body;
  await control.call("POST", `/v1/sandboxes/${id}/stop`);
  await control.call("POST", `/v1/sandboxes/${id}/wake`);
  const { text, headers } = await control.call("GET", "/metrics");
  t.match(headers["content-type"], /^text\/plain/);
  for (const line of [
    'sandboxd_sandboxes{status="running"} 1',
    'sandboxd_sandboxes{status="stopped"} 0',
    'sandboxd_wakes_total{outcome="ready"} 1',
    "sandboxd_wake_duration_seconds_count 1",
    'sandboxd_stops_total{cause="operator"} 1',
    'sandboxd_http_requests_total{method="POST",route="/v1/sandboxes/:id/stop",status="200"} 1',
  ]) {
    t.ok(text.includes(`\n${line}\n`), line);
  }
  t.match(text, /^sandboxd_sqlite_transactions_total [1-9]/m);
  t.match(text, /^process_resident_memory_bytes /m);
});

t.test("GET /llm.txt names the API's address", async (t) => {
  const control = await startControl(t, { PREVIEW_DOMAIN: "example.com", PREVIEW_SCHEME: "https" });
  t.match((await control.call("GET", "/llm.txt")).text, /https:\/\/api\.preview\.example\.com/);
});

t.test("GET /openapi.json describes every call but the gateway's own", async (t) => {
  const control = await startControl(t);
  const { body } = await control.call("GET", "/openapi.json");
  t.match(body, { openapi: /^3\.1/, info: { title: "sandboxd" } });
  const calls = Object.entries(body.paths).flatMap(([path, methods]) =>
    Object.keys(methods as object).map((method) => `${method.toUpperCase()} ${path}`),
  );
  for (const call of [
    "POST /v1/sandboxes",
    "GET /v1/sandboxes",
    "GET /v1/sandboxes/{id}",
    "PATCH /v1/sandboxes/{id}",
    "DELETE /v1/sandboxes/{id}",
    "POST /v1/sandboxes/{id}/stop",
    "POST /v1/sandboxes/{id}/wake",
    "POST /v1/sandboxes/{id}/restart",
    "POST /v1/sandboxes/{id}/keepalive",
    "GET /v1/sandboxes/{id}/logs",
    "GET /v1/sandboxes/{id}/explain",
    "GET /v1/certificate",
    "POST /sandbox",
    "POST /wake/{id}",
  ]) {
    t.ok(calls.includes(call), call);
  }
  t.notOk(calls.some((call) => call.includes("/gateway")));
  const { properties } = body.paths["/v1/sandboxes"].post.requestBody.content["application/json"].schema;
  t.match(properties.ports, { type: "array", minItems: 1, uniqueItems: true });
  const create = body.paths["/v1/sandboxes"].post;
  t.ok(create.responses["201"].content["application/json"].schema.properties.status_reason);
});
