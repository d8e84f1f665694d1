/** What a real Traefik makes of the static file and of what openEdge writes. */
import { once } from "node:events";
import { rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import t from "tap";
import { missingPart } from "../../e2e/parts/parts.ts";
import { openEdge } from "./edge.ts";
import { servedFingerprint } from "./served-certificate.ts";
import { ask, askHttp2, echo } from "./testing/client.ts";
import { startEdge } from "./testing/edge.ts";
import { testLog } from "./testing/log.ts";
import { daysFromNow, operatorPair } from "./testing/pairs.ts";
import { eventually } from "./testing/traefik.ts";

const options = { skip: missingPart("traefik") };
const host = "s-01jb2q8z6x3v9k4m7n0p5r1s2t-3000.preview.example.com";
const api = "api.preview.example.com";

for (const entryPoint of ["web", "websecure"] as const) {
  t.test(`without TLS previews are on ${entryPoint} alone`, options, async (t) => {
    const { traefik } = await startEdge(t, { entryPoint });
    const port = traefik[entryPoint];
    const answer = await ask({ port, host: `${host.toUpperCase()}:${port}` });
    t.equal(answer.status, 200);
    t.equal(JSON.parse(answer.body).headers.host, `${host.toUpperCase()}:${port}`);
    t.equal(await echo("ws", port, host), "echo hello");
    const other = traefik[entryPoint === "web" ? "websecure" : "web"];
    t.equal((await ask({ port: other, host })).status, 404);
  });

  t.test(`with TLS on ${entryPoint} previews speak HTTP/1.1, HTTP/2 and WebSocket`, options, async (t) => {
    const { traefik, ca } = await startEdge(t, { entryPoint, tls: true });
    for (const port of new Set([traefik[entryPoint], traefik.websecure])) {
      const answer = await ask({ port, host, ca });
      t.equal(answer.status, 200);
      t.equal(JSON.parse(answer.body).headers["x-forwarded-proto"], "https");
      t.equal(await askHttp2(port, host, ca), 200);
      t.equal(await echo("wss", port, host, ca), "echo hello");
    }
  });

  t.test(`with TLS on ${entryPoint} plain requests are sent to HTTPS`, options, async (t) => {
    const { traefik } = await startEdge(t, { entryPoint, tls: true });
    for (const name of [host, api]) {
      const answer = await ask({ port: traefik.web, host: `${name}:${traefik.web}`, path: "/a%2Fb?c=d" });
      t.equal(answer.status, 302);
      t.equal(answer.headers.location, `https://${name}:${traefik.websecure}/a%2Fb?c=d`);
    }
    t.equal((await ask({ port: traefik.web, host, method: "POST" })).status, 307);
    t.equal((await ask({ port: traefik.web, host: "example.com" })).status, 404);
  });
}

t.test("the redirect leaves the default port out", options, async (t) => {
  const { traefik } = await startEdge(t, { entryPoint: "websecure", tls: true, httpsPort: 443 });
  t.equal((await ask({ port: traefik.web, host })).headers.location, `https://${host}/`);
});

t.test("the API host goes with its file, and nothing else does", options, async (t) => {
  const { traefik, config, ca } = await startEdge(t, { entryPoint: "websecure", tls: true });
  await rm(join(config.dynamicDir, "api.yml"));
  await eventually(async () => (await ask({ port: traefik.websecure, host: api, ca })).status === 404);
  t.equal((await ask({ port: traefik.websecure, host, ca })).status, 200);
});

t.test("hosts that are not ours get 404", options, async (t) => {
  const { traefik } = await startEdge(t, {});
  for (const name of ["example.com", "preview.example.com", "a.b.preview.example.com", "x.preview.example.org"]) {
    t.equal((await ask({ port: traefik.web, host: name })).status, 404, name);
  }
});

t.test("a renewed certificate is served without a failed request", options, async (t) => {
  let now = daysFromNow(-300);
  const { traefik, edge, ca } = await startEdge(
    t,
    { entryPoint: "websecure", tls: true },
    { edge: { now: () => now } },
  );
  const fingerprint = () => servedFingerprint({ host: "127.0.0.1", port: traefik.websecure }, host);
  const before = await fingerprint();
  const answers: unknown[] = [];
  let swapped = false;
  async function load() {
    while (!swapped)
      answers.push(await ask({ port: traefik.websecure, host, ca }).then(({ status }) => status, String));
  }
  const clients = [load(), load(), load(), load()];
  now = new Date();
  await edge.refresh();
  await eventually(async () => (await fingerprint()) !== before);
  const atSwap = answers.length;
  await eventually(async () => answers.length > atSwap + 20);
  swapped = true;
  await Promise.all(clients);
  t.match(edge.status(), { certificate: { fingerprint: await fingerprint() }, lastError: null });
  t.strictSame([...new Set(answers)], [200]);
});

t.test("openEdge() knows from a handshake that its certificate is served", options, async (t) => {
  const { traefik, config, edge } = await startEdge(t, { entryPoint: "websecure", tls: true });
  await edge[Symbol.asyncDispose]();
  const log = testLog();
  const served = log.next("certificate served");
  await using proven = await openEdge(config, {
    logger: log.logger,
    traefikAddress: { host: "127.0.0.1", port: traefik.websecure },
  });
  await served;
  t.match(proven.status(), { served: true });
});

t.test("the operator's certificate is served with its chain", options, async (t) => {
  const pair = await operatorPair("example.com");
  const { traefik } = await startEdge(
    t,
    { entryPoint: "websecure", tls: true, certSource: "file" },
    {
      prepare: async ({ certDir }) => {
        await writeFile(join(certDir, "fullchain.pem"), pair.chain);
        await writeFile(join(certDir, "privkey.pem"), pair.key);
      },
    },
  );
  t.equal((await ask({ port: traefik.websecure, host, ca: pair.ca })).status, 200);
});

t.test("Traefik forwards what it should: aliases dropped, escapes and semicolons kept", options, async (t) => {
  const { traefik } = await startEdge(t, {});
  const headers = { X_Forwarded_For: "6.6.6.6", "X.Real.Ip": "6.6.6.6", "X-Forwarded-For": "6.6.6.6" };
  const { body } = await ask({ port: traefik.web, host, path: "/@scope%2Fname?a=1;b", headers });
  const seen = JSON.parse(body);
  t.equal(seen.url, "/@scope%2Fname?a=1%3Bb");
  t.notMatch(body, "6.6.6.6");
  t.equal(seen.headers["x-forwarded-for"], "127.0.0.1");
});

t.test("Traefik counts no requests", options, async (t) => {
  const { traefik } = await startEdge(t, {});
  const metrics = await (await fetch(`http://127.0.0.1:${traefik.internal}/metrics`)).text();
  t.match(metrics, "traefik_config_reloads_total");
  t.notMatch(metrics, /requests_total|request_duration/);
  t.notMatch(traefik.log(), /"level":"error"/);
});

t.test("Traefik keeps the connections of a burst for the next one", options, async (t) => {
  let connections = 0;
  let waiting: (() => void)[] = [];
  // Nobody is answered before all are there, so that each of them needs a connection.
  const gateway = createServer((request, response) => {
    if (request.url !== "/burst") return void response.end();
    waiting.push(() => response.end());
    if (waiting.length < 64) return;
    for (const answer of waiting) answer();
    waiting = [];
  });
  gateway.on("connection", () => connections++);
  await once(gateway.listen(0, "127.0.0.1"), "listening");
  t.teardown(() => {
    gateway.close();
    gateway.closeAllConnections();
  });
  const { port } = gateway.address() as AddressInfo;
  const { traefik } = await startEdge(t, { gatewayUrls: [`http://127.0.0.1:${port}`] });
  const burst = () => Promise.all(Array.from({ length: 64 }, () => ask({ port: traefik.web, host, path: "/burst" })));
  await burst();
  const before = connections;
  for (let count = 0; count < 3; count++) await burst();
  t.ok(before >= 64);
  t.ok(connections - before <= 3, `${connections - before} new connections for 192 requests`);
});

const settings = { trustedProxies: ["127.0.0.1"] };

t.test("Traefik believes the proxies that it was told to trust", options, async (t) => {
  const { traefik } = await startEdge(t, {}, { settings });
  const { body } = await ask({ port: traefik.web, host, headers: { "X-Forwarded-For": "9.9.9.9" } });
  t.equal(JSON.parse(body).headers["x-forwarded-for"], "9.9.9.9, 127.0.0.1");
});

t.test("Traefik takes the client's address from the PROXY protocol", options, async (t) => {
  const { traefik } = await startEdge(t, {}, { settings: { ...settings, proxyProtocol: true } });
  const socket = connect(traefik.web, "127.0.0.1");
  await once(socket, "connect");
  socket.write(`PROXY TCP4 9.9.9.9 127.0.0.1 5000 80\r\nGET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  t.match(await text(socket), '"x-forwarded-for":"9.9.9.9"');
});

t.test("Traefik advertises HTTP/3 at the public port", options, async (t) => {
  const stack = await startEdge(t, { entryPoint: "websecure", tls: true }, { settings: { http3: true } });
  const { headers } = await ask({ port: stack.traefik.websecure, host, ca: stack.ca });
  t.match(headers["alt-svc"], `h3=":${stack.traefik.websecure}"`);
});
