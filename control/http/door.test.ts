import { connect } from "node:net";
import t, { type Test } from "tap";
import { appBody, type RunningControl, startControl } from "../testing/control.ts";

const tokens = { SANDBOXD_API_TOKENS: "ada:one-secret,ci=other-secret" };
const forwarded = { "x-forwarded-for": "203.0.113.7" };

/** Sends bytes as they are, which no client library would. */
function raw(control: RunningControl, request: string): Promise<string> {
  const [host, port] = control.plane.address.split(":") as [string, string];
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), host, () => socket.write(request));
    let text = "";
    socket.on("data", (chunk) => {
      text += String(chunk);
    });
    socket.on("close", () => resolve(text));
    socket.on("error", reject);
  });
}

const statusOf = (text: string) => Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1]);

async function getStatus(control: RunningControl, headers: Record<string, string>, path = "/v1/sandboxes") {
  return (await control.call("GET", path, { headers })).status;
}

t.test("the loopback door lets the operator in without a token", async (t) => {
  const control = await startControl(t, tokens);
  t.equal(await getStatus(control, {}), 200);
  for (const host of ["localhost", "localhost:9090", "LOCALHOST", "127.0.0.1", "127.8.9.10:1", "[::1]", "[::1]:9090"]) {
    t.equal(await getStatus(control, { host }), 200, host);
  }
});

t.test("the loopback door refuses a Host that is not a loopback name", async (t) => {
  const control = await startControl(t);
  const hosts = [
    "example.com",
    "localhost.example.com",
    "localhost.",
    "127.0.0.1.nip.io",
    "127.0.0.256",
    "0.0.0.0",
    "[::2]",
    "api.preview.localhost",
  ];
  for (const host of hosts) {
    const answer = await control.call("GET", "/v1/sandboxes", { headers: { host } });
    t.match(answer, { status: 403, body: { error: { code: "forbidden" } } }, host);
  }
  const bare = await raw(control, "GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n");
  t.equal(statusOf(bare), 403, "no Host at all");
  t.equal(statusOf(await raw(control, "GET /healthz HTTP/1.0\r\n\r\n")), 403, "HTTP/1.0");
});

t.test("the loopback door refuses pages of other sites", async (t) => {
  const control = await startControl(t);
  const host = control.plane.address;
  t.equal(await getStatus(control, { origin: `http://${host}` }), 200);
  for (const origin of ["https://evil.example", "null", `https://${host}`, "http://localhost:1", ""]) {
    t.equal(await getStatus(control, { origin }), 403, origin);
  }
  for (const site of ["same-origin", "none"]) t.equal(await getStatus(control, { "sec-fetch-site": site }), 200, site);
  for (const site of ["cross-site", "same-site", ""])
    t.equal(await getStatus(control, { "sec-fetch-site": site }), 403, site);
});

t.test("a body needs a JSON content type", async (t) => {
  const control = await startControl(t);
  for (const type of [
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/jsonp",
  ]) {
    const answer = await control.call("POST", "/v1/sandboxes", { body: appBody, headers: { "content-type": type } });
    t.match(answer, { status: 400, body: { error: { code: "invalid_request", message: /content type/ } } }, type);
  }
  const text = JSON.stringify({ ports: [] });
  const untyped = `POST /v1/sandboxes HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: ${text.length}\r\n\r\n${text}`;
  t.equal(statusOf(await raw(control, untyped)), 400, "none at all");
  t.same((await control.call("GET", "/sandboxes")).body, []);
});

t.test("a forwarded call on loopback is an edge call, however empty the header", async (t) => {
  const control = await startControl(t, tokens);
  const answer = await control.call("GET", "/v1/sandboxes", { headers: forwarded });
  t.equal(answer.status, 401);
  t.equal(answer.text, '{"error":"unauthorized"}');
  t.equal(answer.headers["www-authenticate"], "Bearer");
  const empty = await raw(
    control,
    "GET /sandboxes HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For:\r\nConnection: close\r\n\r\n",
  );
  t.equal(statusOf(empty), 401);
  t.ok(empty.endsWith('{"error":"unauthorized"}'));
});

async function edge(t: Test, variables: Record<string, string>) {
  const control = await startControl(t, variables);
  const host = "api.preview.localhost";
  const call = (path: string, authorization?: string) =>
    control.callSocket("GET", path, { headers: { host, ...(authorization !== undefined && { authorization }) } });
  return { control, call };
}

t.test("the socket takes any of the tokens and nothing else", async (t) => {
  const { call } = await edge(t, tokens);
  for (const good of ["Bearer one-secret", "bearer other-secret", "Bearer  one-secret"]) {
    t.equal((await call("/v1/sandboxes", good)).status, 200, good);
  }
  const bad = [
    "Bearer one-secre",
    "Bearer one-secrets",
    "Bearer",
    "Basic one-secret",
    "one-secret",
    "Bearer ada:one-secret",
    "Bearer one-secret x",
    "",
  ];
  for (const wrong of [undefined, ...bad]) {
    const answer = await call("/v1/sandboxes", wrong);
    t.match(answer, { status: 401, text: '{"error":"unauthorized"}' }, wrong ?? "none");
  }
  t.equal((await call("/nowhere")).status, 401, "a stranger does not learn which paths there are");
});

t.test("the socket opens a few paths to everybody and hides the metrics from all", async (t) => {
  const { call } = await edge(t, tokens);
  t.match(await call("/healthz"), { status: 200, text: "ok" });
  t.match(await call("/readyz?x=1"), { status: 200, text: "ready" });
  t.equal((await call("/llm.txt")).status, 200);
  t.equal((await call("/preview-auth")).status, 400);
  t.equal((await call("/forward-auth")).status, 401);
  t.equal((await call("/metrics")).status, 404);
  t.equal((await call("/metrics", "Bearer one-secret")).status, 404);
  t.equal((await call("/openapi.json")).status, 401);
  t.equal((await call("/healthz/../v1/sandboxes")).status, 401);
});

t.test("the metrics are hidden under every spelling of their path, and no other path is open by one", async (t) => {
  for (const variables of [tokens, { SANDBOXD_API_AUTH_DISABLED: "true" }]) {
    const { call } = await edge(t, variables);
    for (const path of ["/metrics", "/%6detrics", "/metric%73", "/metrics?x", "/metrics;x", "/metrics/", "//metrics"]) {
      const { status, text } = await call(path, "Bearer one-secret");
      t.equal(status, 404, path);
      t.notMatch(text, /^# HELP/m, path);
    }
  }
  const { call } = await edge(t, tokens);
  for (const path of [
    "/healthz/",
    "/healthz/../v1/sandboxes",
    "/healthz%2f..%2fv1/sandboxes",
    "/v1/sandboxes;/healthz",
  ])
    t.equal((await call(path)).status, 401, path);
});

t.test("the socket is open with authentication off, and shut without tokens", async (t) => {
  const off = await edge(t, { SANDBOXD_API_AUTH_DISABLED: "true" });
  t.equal((await off.call("/v1/sandboxes")).status, 200);
  t.equal((await off.call("/metrics")).status, 404);
  const none = await edge(t, {});
  t.equal((await none.call("/v1/sandboxes", "Bearer ")).status, 401);
  t.equal((await none.call("/healthz")).status, 200);
});
