import type { IncomingMessage } from "node:http";
import t from "tap";
import { clientReader, forwardingHeaders, pushForwardedHeaders } from "./forwarded-headers.ts";
import { requestOf } from "./hazards/test-request.ts";

/** A request that came from this address. */
function from(address: string | undefined, ...headers: string[]): IncomingMessage {
  const request = requestOf({ headers });
  Object.defineProperty(request.socket, "remoteAddress", { value: address });
  return request;
}

const forwarded = [
  "X-Forwarded-For: 192.0.2.7, 10.0.0.2",
  "X-Forwarded-Proto: https",
  "X-Forwarded-Host: public.example:8443",
  "X-Forwarded-Port: 8443",
  "X-Real-Ip: 192.0.2.7",
];

t.test("clientReader() believes what a trusted proxy says", async (t) => {
  const read = clientReader(["10.0.0.0/8"]);
  t.strictSame(read(from("10.0.0.1", ...forwarded), "a.example"), {
    address: "192.0.2.7",
    chain: "192.0.2.7, 10.0.0.2",
    scheme: "https",
    host: "public.example:8443",
    port: "8443",
  });
});

t.test("clientReader() believes nobody else", async (t) => {
  const read = clientReader(["10.0.0.0/8"]);
  for (const peer of ["192.0.2.1", "11.0.0.1", "::1", "fd00::1"]) {
    t.strictSame(read(from(peer, ...forwarded), "a.example:8080"), {
      address: peer,
      chain: peer,
      scheme: "http",
      host: "a.example:8080",
      port: "8080",
    });
  }
  t.match(
    read(from(undefined, ...forwarded), "a.example"),
    { address: "", chain: "" },
    "a peer that is gone is nobody",
  );
});

t.test("clientReader() knows proxies by address and by block, in both families", async (t) => {
  const read = clientReader(["10.1.2.3", "172.16.0.0/12", "::1", "fd00::/8"]);
  const trusts = (peer: string) => read(from(peer, "X-Real-Ip: 192.0.2.7"), "a.example").address === "192.0.2.7";
  for (const peer of ["10.1.2.3", "172.31.255.255", "::1", "fd12::9", "::ffff:10.1.2.3", "::ffff:172.16.0.1"]) {
    t.ok(trusts(peer), peer);
  }
  for (const peer of ["10.1.2.4", "172.32.0.1", "::2", "fe80::1", "::ffff:10.1.2.4"]) t.notOk(trusts(peer), peer);
});

t.test("clientReader() writes an IPv4 peer of a dual-stack listener as IPv4", async (t) => {
  t.equal(clientReader([])(from("::ffff:192.0.2.1"), "a.example").address, "192.0.2.1");
});

t.test("clientReader() fills in what a trusted proxy leaves out", async (t) => {
  const read = clientReader(["10.0.0.1"]);
  t.strictSame(read(from("10.0.0.1"), "a.example"), {
    address: "10.0.0.1",
    chain: "10.0.0.1",
    scheme: "http",
    host: "a.example",
    port: "80",
  });
  t.match(read(from("10.0.0.1", "X-Forwarded-For: 192.0.2.7, 10.0.0.2"), "a.example"), { address: "192.0.2.7" });
  t.match(read(from("10.0.0.1", "X-Forwarded-Proto: https"), "a.example"), { scheme: "https", port: "443" });
  t.match(read(from("10.0.0.1", "X-Forwarded-For:", "X-Real-Ip:"), "a.example"), { address: "10.0.0.1" });
});

t.test("clientReader() takes the scheme of an upgrade for the one it runs over", async (t) => {
  const read = clientReader(["10.0.0.1"]);
  for (const [proto, scheme] of Object.entries({ wss: "https", ws: "http", HTTPS: "https", gopher: "http" })) {
    t.equal(read(from("10.0.0.1", `X-Forwarded-Proto: ${proto}`), "a.example").scheme, scheme, proto);
  }
});

t.test("clientReader() joins a chain that came in several headers", async (t) => {
  const request = from("10.0.0.1", "X-Forwarded-For: 192.0.2.7", "X-Forwarded-For: 10.0.0.2");
  t.equal(clientReader(["10.0.0.1"])(request, "a.example").chain, "192.0.2.7, 10.0.0.2");
});

t.test("clientReader() believes the dashed spelling alone", async (t) => {
  const request = from("10.0.0.1", "X_Forwarded_For: 192.0.2.7", "X-Forwarded_Proto: https");
  t.match(clientReader(["10.0.0.1"])(request, "a.example"), { address: "10.0.0.1", scheme: "http" });
});

t.test("pushForwardedHeaders() says all that an app may know", async (t) => {
  const headers = ["Host", "localhost:3000"];
  pushForwardedHeaders({ address: "a", chain: "a, b", scheme: "https", host: "h:1", port: "1" }, headers);
  t.strictSame(headers.slice(2), [
    ...["X-Forwarded-For", "a, b", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "h:1"],
    ...["X-Forwarded-Port", "1", "X-Real-Ip", "a"],
  ]);
  for (let index = 2; index < headers.length; index += 2) {
    t.ok(forwardingHeaders.has(headers[index]!.toLowerCase()), `no client's own ${headers[index]} comes beside it`);
  }
});
