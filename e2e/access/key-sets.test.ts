import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import t, { type Test } from "tap";
import { claimsFor } from "../../control/testing/tokens.ts";
import { RawClient } from "../../gateway/hazards/test-gateway.ts";
import { type Box, Chain, openSession, reasonOf, secret, statusOf } from "./chain.ts";

/** An integrator's own keys, as a file and at a URL. */

type Key = { readonly alg: string; readonly kid: string; readonly privateKey: KeyObject; readonly jwk: object };

const generate = {
  EdDSA: () => generateKeyPairSync("ed25519"),
  ES256: () => generateKeyPairSync("ec", { namedCurve: "P-256" }),
  RS256: () => generateKeyPairSync("rsa", { modulusLength: 2048 }),
};

function newKey(alg: keyof typeof generate, kid: string): Key {
  const { privateKey, publicKey } = generate[alg]();
  return { alg, kid, privateKey, jwk: { ...publicKey.export({ format: "jwk" }), kid, alg } };
}

function tokenBy({ alg, kid, privateKey }: Key, claims: object): string {
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = `${encode({ alg, kid })}.${encode(claims)}`;
  const digest = alg === "EdDSA" ? null : "sha256";
  const signature = sign(digest, Buffer.from(signed), { key: privateKey, dsaEncoding: "ieee-p1363" });
  return `${signed}.${signature.toString("base64url")}`;
}

async function serve(t: Test, ...keys: Key[]) {
  const served = { keys, status: 200, asked: 0, url: "" };
  const server = createServer((_, response) => {
    served.asked++;
    const body = JSON.stringify({ keys: served.keys.map(({ jwk }) => jwk) });
    response.writeHead(served.status, { "content-type": "application/json" }).end(body);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => server.close());
  served.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`;
  return served;
}

const header = (token: string) => `X-Preview-Token: ${token}\r\n`;

/** Gateways hear of a change a moment after control said so: asks until they have. The test's own time is the limit. */
async function untilLetIn({ ask }: Box, lines: string): Promise<void> {
  while (statusOf(await ask(lines)) !== 200);
}

t.test("a token is good by a key of each kind, in a file or at a URL, and by its own alone", async (t) => {
  const kinds = ["EdDSA", "ES256", "RS256"] as const;
  const [local, remote] = [
    kinds.map((alg) => newKey(alg, `file-${alg}`)),
    kinds.map((alg) => newKey(alg, `url-${alg}`)),
  ];
  const served = await serve(t, ...remote);
  const chain = await Chain.start(t, {
    SANDBOXD_PREVIEW_JWKS_URL: served.url,
    SANDBOXD_PREVIEW_JWKS_FILE: join(
      t.testdir({ "keys.json": JSON.stringify({ keys: local.map(({ jwk }) => jwk) }) }),
      "keys.json",
    ),
  });
  const box = await chain.create();
  const claims = claimsFor(box.id);
  for (const key of [...local, ...remote]) {
    t.equal(statusOf(await box.ask(header(tokenBy(key, claims)))), 200, key.kid);
    const other = { ...key, privateKey: newKey(key.alg as "ES256", key.kid).privateKey };
    t.equal(reasonOf(await box.ask(header(tokenBy(other, claims)))), "bad_signature", `another's under ${key.kid}`);
  }
  for (const [index, key] of remote.entries()) {
    const kid = remote[(index + 1) % 3]!.kid;
    t.equal(reasonOf(await box.ask(header(tokenBy({ ...key, kid }, claims)))), "bad_signature", `${key.kid} as ${kid}`);
  }
  const asked = served.asked;
  const unknown = Array.from({ length: 60 }, (_, index) => tokenBy({ ...remote[0]!, kid: `unknown-${index}` }, claims));
  const answers = await Promise.all(unknown.map((token) => box.ask(header(token))));
  t.ok(answers.every((answer) => statusOf(answer) === 401));
  t.ok(served.asked <= asked + 1, `${served.asked - asked} looks at the key set for 60 unknown keys`);
});

t.test("a key set that changes is taken with the next look, in the gateway as well", async (t) => {
  const [first, second] = [newKey("ES256", "first"), newKey("EdDSA", "second")];
  const served = await serve(t, first);
  const file = join(t.testdir({}), "keys.json");
  writeFileSync(file, JSON.stringify({ keys: [] }));
  const settings = `SANDBOXD_PREVIEW_JWKS_URL=${served.url}\nSANDBOXD_PREVIEW_JWKS_FILE=${file}\n`;
  const chain = await Chain.start(t);
  t.match(await chain.reload(settings), /was read again/);
  const box = await chain.create();
  const [old, fresh] = [header(tokenBy(first, claimsFor(box.id))), header(tokenBy(second, claimsFor(box.id)))];
  t.equal(statusOf(await box.ask(old)), 200);
  t.equal(reasonOf(await box.ask(fresh)), "bad_signature");
  const session = await openSession(box, tokenBy(first, claimsFor(box.id)));
  served.keys = [second];
  await chain.reload(settings);
  await untilLetIn(box, fresh);
  t.pass("what was refused before is good by the new key");
  t.equal(reasonOf(await box.ask(old)), "bad_signature", "and what is gone from the set is good no more");
  t.equal(reasonOf(await box.ask(session)), "revoked", "nor what came of it");
  writeFileSync(file, JSON.stringify({ keys: [first.jwk] }));
  await chain.reload(settings);
  await untilLetIn(box, old);
  t.pass("a file is read anew as well");
  writeFileSync(file, "{");
  t.match(await chain.reload(settings), /nothing has changed/);
  t.equal(statusOf(await box.ask(old)), 200);
});

t.test("a control that starts while the key set is away shuts nobody out, and ends nothing", async (t) => {
  const key = newKey("RS256", "only");
  const served = await serve(t, key);
  const chain = await Chain.start(t, { SANDBOXD_PREVIEW_JWKS_URL: served.url });
  const box = await chain.create();
  const token = header(tokenBy(key, claimsFor(box.id)));
  t.equal(statusOf(await box.ask(token)), 200);
  const stream = new RawClient(chain.port).send(`GET /stream HTTP/1.1\r\nHost: ${box.host}\r\n${token}\r\n`);
  await stream.until(({ text }) => text.includes("data: first"));
  served.status = 503;
  await chain.restartControl();
  const late = await chain.create();
  t.equal(
    statusOf(await late.ask(header(tokenBy(key, claimsFor(late.id))))),
    200,
    "the gateway follows the new control",
  );
  t.notOk(stream.ended || stream.closed, "what was open goes on");
  t.equal(statusOf(await box.ask(token)), 200);
  stream.socket.destroy();
});

t.test("a key set that leads elsewhere, or is none, opens nothing and keeps the others working", async (t) => {
  const key = newKey("ES256", "there");
  const good = await serve(t, key);
  const chain = await Chain.start(t);
  const box = await chain.create();
  const away = createServer((_, response) => response.writeHead(302, { location: good.url }).end()).listen(
    0,
    "127.0.0.1",
  );
  await once(away, "listening");
  t.teardown(() => away.close());
  const url = `http://127.0.0.1:${(away.address() as AddressInfo).port}/`;
  await chain.reload(`SANDBOXD_PREVIEW_TOKEN_SECRETS=main=${secret}\nSANDBOXD_PREVIEW_JWKS_URL=${url}\n`);
  t.equal(reasonOf(await box.ask(header(tokenBy(key, claimsFor(box.id))))), "bad_signature");
  t.equal(good.asked, 0);
  t.ok(chain.control.lines.some((line) => line.includes("SANDBOXD_PREVIEW_JWKS_URL cannot be read")));
});
