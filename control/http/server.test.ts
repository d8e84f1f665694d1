import { once } from "node:events";
import { connect } from "node:net";
import t from "tap";
import { appBody, startControl } from "../testing/control.ts";

t.test("an unknown path is not found in the form of where it is", async (t) => {
  const control = await startControl(t);
  t.match(await control.call("GET", "/v1/nothing"), { status: 404, body: { error: { code: "not_found" } } });
  t.match(await control.call("PUT", "/v1/sandboxes"), { status: 404, body: { error: { code: "not_found" } } });
  t.match(await control.call("GET", "/nothing"), { status: 404, body: { error: String } });
  t.match(await control.call("GET", "/v1/%zz"), { status: 400, body: { error: { code: "invalid_request" } } });
});

t.test("a body that is no JSON, or tries to reach the prototype, is refused", async (t) => {
  const control = await startControl(t);
  const good = JSON.stringify(appBody);
  const but = (more: string) => good.replace(/\}$/, `,${more}}`);
  t.match(await control.call("POST", "/v1/sandboxes", { raw: but('"labels":{"a":"é"}') }), { status: 201 });
  for (const raw of [
    "{",
    "nonsense",
    `${good} x`,
    but('"__proto__":{"a":1}'),
    but('"labels":{"__proto__":"a"}'),
    but('"constructor":{"prototype":{}}'),
    '"text"',
    "[]",
    "null",
    Buffer.from(but('"labels":{"a":"\xe9"}'), "latin1"),
    Buffer.from(good, "utf16le"),
  ]) {
    const answer = await control.call("POST", "/v1/sandboxes", { raw });
    t.match(answer, { status: 400, body: { error: { code: "invalid_request" } } }, String(raw));
  }
});

t.test("a body needs the content type of JSON, unless it is empty", async (t) => {
  const control = await startControl(t);
  const { id } = (await control.call("POST", "/v1/sandboxes", { body: appBody })).body;
  const path = `/v1/sandboxes/${id}/stop`;
  const refused = { status: 400, body: { error: { code: "invalid_request", message: /application\/json/ } } };
  for (const type of ["text/plain", "application/x-www-form-urlencoded", "application/jsonp"]) {
    const headers = { "content-type": type };
    t.match(await control.call("POST", path, { raw: "{}", headers }), refused, type);
    t.match(await control.call("POST", path, { raw: "", headers }), { status: 200 }, `${type}, and nothing`);
  }
  t.match(await control.call("POST", path, { raw: "{}", headers: { "content-type": "APPLICATION/JSON;a=b" } }), {
    status: 200,
  });
});

t.test("what a route does not name it does not take", async (t) => {
  const control = await startControl(t);
  const { id } = (await control.call("POST", "/v1/sandboxes", { body: appBody })).body;
  for (const [method, path] of [
    ["POST", `/v1/sandboxes/${id}/restart`],
    ["POST", `/sandbox/${id}/purge`],
  ] as const) {
    t.match(await control.call(method, path, { body: { soon: 1 } }), { status: 400, text: /soon/ }, path);
  }
  for (const [method, path] of [
    ["POST", `/v1/sandboxes/${id}/restart`],
    ["GET", `/v1/sandboxes/${id}/explain`],
    ["GET", `/sandbox/${id}`],
    ["DELETE", `/sandbox/${id}`],
  ] as const) {
    t.match(await control.call(method, `${path}?soon=1`), { status: 400, text: /soon/ }, path);
  }
  t.match(await control.call("POST", `/v1/sandboxes/${id}/restart`, { body: {} }), { status: 200 });
  t.match(await control.call("GET", "/healthz?soon=1"), { status: 200 }, "probes of health are free to");
});

t.test("a body beyond 1 MiB is too large", async (t) => {
  const control = await startControl(t);
  const body = { ...appBody, labels: { a: "x".repeat(1024 * 1024) } };
  t.match(await control.call("POST", "/v1/sandboxes", { body }), {
    status: 413,
    body: { error: { code: "too_large" } },
  });
});

t.test("whoever sends a body that is too large reads the answer, and is not cut off", async (t) => {
  const control = await startControl(t);
  const [host, port] = control.plane.address.split(":");
  const head = `POST /v1/sandboxes HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\n`;
  const body = Buffer.alloc(8 << 20, " ");
  const framings = {
    "Content-Length": [`Content-Length: ${body.length}\r\n\r\n`, ""],
    chunked: [`Transfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n`, "\r\n0\r\n\r\n"],
  } as const;
  for (const [what, [before, after]] of Object.entries(framings)) {
    const socket = connect(Number(port), host);
    let text = "";
    socket.setEncoding("utf8").on("data", (chunk) => {
      text += chunk;
    });
    socket.write(head + before);
    socket.write(body);
    socket.end(after);
    await once(socket, "close");
    t.match(text, /^HTTP\/1\.1 413 [\s\S]*"code":"too_large"[^}]*\}\}$/, what);
  }
});

t.test("close() lets a call in progress finish", async (t) => {
  const control = await startControl(t);
  const creating = control.call("POST", "/v1/sandboxes", { body: appBody });
  const listed = async () => (await control.call("GET", "/sandboxes")).body.length;
  while ((await listed()) === 0);
  await control.stop();
  t.match(await creating, { status: 201 });
});

t.test("close() keeps nobody waiting", async (t) => {
  const control = await startControl(t);
  const { id } = (await control.call("POST", "/v1/sandboxes", { body: appBody })).body;
  const waiting = control.call("GET", `/v1/sandboxes/${id}?wait=error&timeout_seconds=600`);
  await control.call("GET", "/healthz");
  await control.stop();
  t.match(await waiting, { status: 200 });
});
