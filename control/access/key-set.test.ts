import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import t, { type Test } from "tap";
import { newPair } from "../testing/tokens.ts";
import { fetchKeySet, parseKeySet } from "./key-set.ts";

const json = { "content-type": "application/json" };
const set = (...keys: object[]) => JSON.stringify({ keys });

async function serve(t: Test, answer: RequestListener): Promise<string> {
  const server = createServer(answer).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`;
}

t.test("fetchKeySet() reads the keys at a URL", async (t) => {
  const url = await serve(t, (_, response) => response.writeHead(200, json).end(set(newPair("one").jwk)));
  t.match(await fetchKeySet(url), [{ alg: "ES256", kid: "one" }]);
});

t.test("fetchKeySet() follows no redirection, to wherever it leads", async (t) => {
  let followed = 0;
  const good = await serve(t, (_, response) => {
    followed++;
    response.writeHead(200, json).end(set(newPair("one").jwk));
  });
  for (const status of [301, 302, 303, 307, 308]) {
    for (const location of [good, "/elsewhere", "http://169.254.169.254/", "file:///etc/passwd"]) {
      const url = await serve(t, (_, response) => response.writeHead(status, { location }).end(set(newPair("x").jwk)));
      await t.rejects(fetchKeySet(url), { name: "KeySetError" }, `${status} ${location}`);
    }
  }
  t.equal(followed, 0);
});

t.test("fetchKeySet() gives up on an endpoint that is slow to begin, or never comes to an end", async (t) => {
  const silent = await serve(t, () => {});
  await t.rejects(fetchKeySet(silent, { timeoutMs: 50 }), { name: "KeySetError", cause: { name: "TimeoutError" } });
  const dribbling = await serve(t, (_, response) => {
    response.writeHead(200, json);
    const timer = setInterval(() => response.write(" "), 5);
    response.on("close", () => clearInterval(timer));
  });
  await t.rejects(fetchKeySet(dribbling, { timeoutMs: 100 }), { name: "KeySetError", cause: { name: "TimeoutError" } });
});

t.test("fetchKeySet() reads no more than a key set may have, however small it looked", async (t) => {
  const whole = `${set(newPair("one").jwk)}${" ".repeat(3 << 20)}`;
  let sent = 0;
  const huge = await serve(t, (_, response) => {
    response.writeHead(200, json);
    const more = () => {
      do sent += 1 << 16;
      while (response.write(" ".repeat(1 << 16)));
    };
    response.on("drain", more);
    more();
  });
  const packed = await serve(t, (_, response) =>
    response.writeHead(200, { ...json, "content-encoding": "gzip" }).end(gzipSync(whole)),
  );
  for (const url of [huge, packed]) await t.rejects(fetchKeySet(url), { message: "the key set is too large" });
  t.ok(sent < 1 << 26, `${sent} bytes were sent before that was noticed`);
});

t.test("fetchKeySet() takes nothing but a key set for one", async (t) => {
  const answers: readonly (readonly [number, string])[] = [
    [200, ""],
    [200, "<html>not here</html>"],
    [200, '{"keys":'],
    [200, '{"keys":{}}'],
    [200, '["keys"]'],
    [200, "null"],
    [404, set(newPair("one").jwk)],
    [500, set(newPair("one").jwk)],
  ];
  for (const [status, body] of answers) {
    const url = await serve(t, (_, response) => response.writeHead(status, json).end(body));
    await t.rejects(fetchKeySet(url), { name: "KeySetError" }, `${status} ${body}`);
  }
  await t.rejects(fetchKeySet("http://127.0.0.1:1/"), { name: "KeySetError" }, "nobody there");
});

t.test("parseKeySet() takes public keys of the three kinds by name, and nothing secret of them", async (t) => {
  const { jwk, privateKey } = newPair("p");
  const whole = { ...privateKey.export({ format: "jwk" }), kid: "p" };
  const others = [
    { ...jwk, kid: undefined },
    { ...jwk, use: "enc" },
    { ...jwk, alg: "RS256" },
    { ...jwk, key_ops: ["sign"] },
    { kty: "oct", k: "c2VjcmV0", kid: "shared" },
    { kty: "EC", crv: "P-384", x: "a", y: "b", kid: "curve" },
    { kty: "RSA", n: "AQAB", e: "AQAB", kid: "short" },
    null,
    "text",
  ];
  const keys = await parseKeySet(JSON.stringify({ keys: [whole, ...others] }), "here");
  t.equal(keys.length, 1);
  t.match(keys[0], { alg: "ES256", kid: "p" });
  t.notOk(JSON.stringify(keys).includes(whole.d!));
  for (const text of ["", "[]", "null", '{"keys":1}'])
    await t.rejects(parseKeySet(text, "here"), { name: "KeySetError" });
});
