/** Real proxies before Traefik, with and without the PROXY protocol, trusted and not. */
import { once } from "node:events";
import { type IncomingMessage, request as plain } from "node:http";
import { request as secure } from "node:https";
import { connect } from "node:net";
import { json, text } from "node:stream/consumers";
import t from "tap";
import { missingPart } from "../parts/parts.ts";
import { startEdge, type TestEdge } from "./edge.ts";
import { startHaproxy } from "./haproxy.ts";

const skip = missingPart("traefik", "haproxy");

// All of them are this machine's own, and so tell the visitor and the proxy apart.
const visitor = "127.0.0.5";
const proxy = "127.0.0.9";
const forged = "203.0.113.66";

/** Who the app takes the visitor for, when one at that address claims to be somebody else. */
async function seen(edge: TestEdge, port: number): Promise<string> {
  const { host, ways } = edge;
  const { ca } = ways[0]!;
  const headers = { host, "x-forwarded-for": forged, "x-real-ip": forged };
  const options = { host: "127.0.0.1", port, localAddress: visitor, headers, agent: false };
  const request = ca === undefined ? plain(options) : secure({ ...options, servername: host, ca });
  request.end();
  const [answer] = (await once(request, "response")) as [IncomingMessage];
  const app = (await json(answer)) as { headers: Record<string, string> };
  return app.headers["x-forwarded-for"]!;
}

for (const speaks of ["send-proxy", "send-proxy-v2"]) {
  for (const tls of [false, true]) {
    const name = `behind HAProxy with ${speaks}, ${tls ? "TLS passed through" : "plain"}`;
    t.test(`${name}: the app learns the visitor's address`, { skip }, async (t) => {
      const settings = { trustedProxies: [proxy], proxyProtocol: true };
      const edge = await startEdge(t, { entryPoint: tls ? "websecure" : "web", tls, settings });
      const to = tls ? edge.traefik.websecure : edge.traefik.web;
      t.equal(await seen(edge, await startHaproxy(t, { mode: "tcp", speaks, from: proxy, to })), visitor);
      t.equal(await seen(edge, to), visitor, "who comes without the proxy is believed nothing");
    });
  }
}

t.test("the PROXY protocol of one who is not trusted says nothing", { skip }, async (t) => {
  const edge = await startEdge(t, { settings: { trustedProxies: [proxy], proxyProtocol: true } });
  const socket = connect({ port: edge.traefik.web, host: "127.0.0.1", localAddress: visitor });
  socket.write(
    `PROXY TCP4 ${forged} 127.0.0.1 5000 80\r\nGET / HTTP/1.1\r\nHost: ${edge.host}\r\nConnection: close\r\n\r\n`,
  );
  const answer = await text(socket);
  t.notMatch(answer, forged);
  t.match(answer, /"x-forwarded-for":"127\.0\.0\.5"|^HTTP\/1\.1 400 /);
});

t.test("behind HAProxy that speaks HTTP, trusted: the app learns the visitor's address", { skip }, async (t) => {
  const edge = await startEdge(t, { settings: { trustedProxies: [proxy] } });
  const port = await startHaproxy(t, { mode: "http", from: proxy, to: edge.traefik.web });
  const list = (await seen(edge, port)).split(", ");
  t.strictSame(list, [forged, visitor, proxy], "the last one before the proxies is the visitor");
});

t.test("behind HAProxy that speaks HTTP, not trusted: it is the visitor", { skip }, async (t) => {
  const edge = await startEdge(t, { settings: { trustedProxies: ["192.0.2.1"] } });
  const port = await startHaproxy(t, { mode: "http", from: proxy, to: edge.traefik.web });
  t.equal(await seen(edge, port), proxy);
});
