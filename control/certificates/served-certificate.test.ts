import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, createServer as plainServer } from "node:net";
import { createServer } from "node:tls";
import t, { type Test } from "tap";
import { isServed, servedFingerprint } from "./served-certificate.ts";
import { operatorPair } from "./testing/pairs.ts";

async function serve(t: Test, pair: { chain: string; key: string }) {
  const server = createServer({ cert: pair.chain, key: pair.key }).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => server.close());
  return { server, address: { host: "127.0.0.1", port: (server.address() as AddressInfo).port } };
}
const fingerprintOf = (pair: { chain: string }) => new X509Certificate(pair.chain).fingerprint256;
const name = "api.preview.example.com";
const signal = new AbortController().signal;

t.test("servedFingerprint() shows the leaf without trusting it", async (t) => {
  const pair = await operatorPair("example.com");
  const { address } = await serve(t, pair);
  t.equal(await servedFingerprint(address, name), fingerprintOf(pair));
});

t.test("servedFingerprint() rejects when nobody answers", async (t) => {
  const { server, address } = await serve(t, await operatorPair("example.com"));
  server.close();
  await once(server, "close");
  await t.rejects(servedFingerprint(address, name), { code: "ECONNREFUSED" });
});

t.test("isServed() waits for the swap", async (t) => {
  const [old, next] = [await operatorPair("example.com"), await operatorPair("example.com")];
  const { server, address } = await serve(t, old);
  server.once("secureConnection", () => server.setSecureContext({ cert: next.chain, key: next.key }));
  t.equal(await isServed(fingerprintOf(next), address, name, { withinMs: 60_000, signal }), "served");
});

t.test("isServed() gives up when the time is over", async (t) => {
  const { address } = await serve(t, await operatorPair("example.com"));
  t.equal(await isServed("another", address, name, { withinMs: 0, signal }), "another");
});

t.test("isServed() tells nobody from another certificate", async (t) => {
  const { server, address } = await serve(t, await operatorPair("example.com"));
  server.close();
  await once(server, "close");
  t.equal(await isServed("any", address, name, { withinMs: 0, signal }), "silent");
});

t.test("isServed() ends with its signal, in the middle of a handshake as well", async (t) => {
  const silent = plainServer().listen(0, "127.0.0.1");
  await once(silent, "listening");
  t.teardown(() => silent.close());
  const abort = new AbortController();
  silent.once("connection", () => abort.abort());
  const address = { host: "127.0.0.1", port: (silent.address() as AddressInfo).port };
  await t.rejects(isServed("any", address, name, { withinMs: 60_000, signal: abort.signal }), { name: "AbortError" });
});
