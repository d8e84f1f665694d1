import t from "tap";
import type { Route } from "#contract/gateway-api.ts";
import { forwardingHeaders } from "./forwarded-headers.ts";
import { exchangeOf, type RequestLines } from "./hazards/test-request.ts";
import { apiHeaders, upstreamHeaders } from "./upstream-headers.ts";

const upgrade = { upgrade: { socket: undefined as never, bytes: Buffer.alloc(0) } };

/** The header lines that the app gets, those of the forwarding apart. */
function linesFor(lines: RequestLines, route: Partial<Route> = {}, more = {}): string[] {
  const exchange = exchangeOf(lines, route, more);
  return pairs(upstreamHeaders(exchange, exchange.target!));
}

function pairs(headers: readonly string[]): string[] {
  const lines: string[] = [];
  for (let index = 0; index < headers.length; index += 2) lines.push(`${headers[index]}: ${headers[index + 1]}`);
  return lines.filter((line) => !/^X-(Forwarded-\w+|Real-Ip): /.test(line));
}

t.test("upstreamHeaders() keeps order, spelling, duplicates and bytes", async (t) => {
  const headers = ["X-b: 1", "x-A: \xe4\xff", "X-b: 2", "Cookie: a=b", "Cookie: c=d", "__proto__: x", "constructor: y"];
  t.strictSame(linesFor({ headers }), ["Host: localhost:3000", ...headers]);
});

t.test("upstreamHeaders() names the host by the sandbox's policy, a port's own first", async (t) => {
  const host = (route: Partial<Route>) => linesFor({ headers: ["Host: A.example:8443"] }, route)[0];
  t.equal(host({}), "Host: localhost:3000");
  t.equal(host({ hostPolicy: "preserve" }), "Host: A.example:8443");
  t.equal(host({ hostPolicyByPort: { 3000: "preserve" } }), "Host: A.example:8443");
  t.equal(host({ hostPolicy: "preserve", hostPolicyByPort: { 3000: "localhost" } }), "Host: localhost:3000");
  t.equal(host({ hostPolicyByPort: { 4000: "preserve" } }), "Host: localhost:3000");
});

t.test("upstreamHeaders() drops what belongs to the connection, in any spelling", async (t) => {
  const headers = [
    ...["Connection: keep-alive, X-Hop, close", "X-Hop: 1", "x-hOP: 2", "Keep-Alive: 5", "Proxy-Connection: x"],
    ...["TE: trailers", "Trailer: X-A", "Proxy-Authorization: x", "Upgrade: h2c", "HTTP2-Settings: x", "Expect: x"],
    ...["Transfer_Encoding_: x", "Proxy_Connection: x", "Keep_Alive: x"],
  ];
  t.strictSame(linesFor({ headers: [...headers, "X-End: 1"] }), [
    "Host: localhost:3000",
    "Transfer_Encoding_: x",
    "X-End: 1",
  ]);
});

t.test("upstreamHeaders() joins what several Connection headers list", async (t) => {
  t.strictSame(linesFor({ headers: ["Connection: X-A", "X-A: 1", "Connection: x-b", "X-B: 2", "X-C: 3"] }), [
    "Host: localhost:3000",
    "X-C: 3",
  ]);
});

t.test("upstreamHeaders() lets Connection list nothing away that the app needs", async (t) => {
  const headers = ["Cookie: a=b", "Authorization: Basic x", "Content-Type: a/b", "Origin: https://b.example"];
  const names = "Host, Cookie, Authorization, Content-Type, Origin";
  t.strictSame(linesFor({ headers: [`Connection: ${names}`, ...headers] }), ["Host: localhost:3000", ...headers]);
});

t.test("upstreamHeaders() passes nothing on that tells where a request comes from but its own word", async (t) => {
  const names = [...forwardingHeaders, "x-sandbox-external-user-id"];
  const spellings = names.flatMap((name) => [name, name.toUpperCase(), name.replaceAll("-", "_")]);
  const forged = spellings.map((name) => `${name}: 6.6.6.6`);
  const exchange = exchangeOf({ headers: [...forged, `Connection: ${names.join(", ")}`] });
  const headers = upstreamHeaders(exchange, exchange.target!);
  t.notOk(headers.includes("6.6.6.6"));
  t.strictSame(headers.slice(2), [
    ...["X-Forwarded-For", "192.0.2.7", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "preview.example"],
    ...["X-Forwarded-Port", "443", "X-Real-Ip", "192.0.2.7"],
  ]);
});

t.test("upstreamHeaders() frames the body anew", async (t) => {
  const lengths = (lines: RequestLines) => linesFor(lines).filter((line) => /length|encoding/i.test(line));
  t.strictSame(lengths({ method: "POST", headers: ["content-length: 007"] }), ["Content-Length: 7"]);
  t.strictSame(lengths({ method: "POST", headers: ["Transfer-Encoding: chunked"] }), []);
  t.strictSame(lengths({ method: "POST" }), []);
});

t.test("upstreamHeaders() lets an upgrade's Origin follow Host when it names the same host", async (t) => {
  const origin = (text: string, route: Partial<Route> = {}, more: object = upgrade) =>
    linesFor({ headers: ["Host: A.example:8443", `Origin: ${text}`] }, route, more)[1];
  t.equal(origin("https://a.example:8443"), "Origin: http://localhost:3000");
  t.equal(origin("http://A.EXAMPLE:8443"), "Origin: http://localhost:3000");
  for (const other of ["https://b.example", "https://a.example", "https://a.example:8443/", "null", "a.example:8443"]) {
    t.equal(origin(other), `Origin: ${other}`);
  }
  t.equal(origin("https://a.example:8443", { hostPolicy: "preserve" }), "Origin: https://a.example:8443");
  t.equal(origin("https://a.example:8443", {}, {}), "Origin: https://a.example:8443", "a plain request's stays");
});

t.test("apiHeaders() leaves the host and the credentials to control", async (t) => {
  const headers = ["Host: api.example:8443", "Authorization: Bearer x", "X-Forwarded-For: 6.6.6.6", "X-Hop: 1"];
  t.strictSame(pairs(apiHeaders(exchangeOf({ headers: [...headers, "Connection: X-Hop"] }))), [
    "Host: api.example:8443",
    "Authorization: Bearer x",
  ]);
});
