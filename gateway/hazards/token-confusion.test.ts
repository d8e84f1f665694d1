import { createHmac } from "node:crypto";
import t from "tap";
import { reasonOf, startPrivatePreview, statusOf } from "./private-preview.ts";
import { claimsFor, encode, hmacKey, publicKey, publicPem, secret, token, tokenBy } from "./test-tokens.ts";

const header = (text: string) => `X-Preview-Token: ${text}\r\n`;

t.test("a token without a signature, or with one that its header chose, opens nothing", async (t) => {
  const preview = await startPrivatePreview(t);
  const claims = claimsFor(preview.id);
  const unsigned = (alg: string, tail = "") => `${encode({ alg, kid: "main" })}.${encode(claims)}.${tail}`;
  const rsa = publicKey("RS256") as Extract<ReturnType<typeof publicKey>, { alg: "RS256" }>;
  const own = tokenBy("ES256", claims, { kid: "attacker", jwk: (publicKey("ES256") as { jwk: object }).jwk });
  const forged: Readonly<Record<string, string>> = {
    "alg none": unsigned("none"),
    "alg none, with a tail": unsigned("none", "AA"),
    "alg None": unsigned("None", "AA"),
    "alg NONE by a known secret": token(claims, { alg: "NONE" }),
    "no alg": token(claims, { alg: undefined }),
    "HS256 with the RSA key's PEM": token(claims, { kid: "RS256-key" }, publicPem("RS256")),
    "HS256 with the RSA key's JWK": token(claims, { kid: "RS256-key" }, JSON.stringify(rsa.jwk)),
    "HS256 with the RSA key's modulus": token(claims, { kid: "RS256-key" }, Buffer.from(rsa.jwk.n!, "base64url")),
    "RS256 with the secret": token(claims, { alg: "RS256" }),
    "HS512 by the same secret": token(claims, { alg: "HS512" }),
    "PS256 by the RSA key": tokenBy("RS256", claims, { alg: "PS256" }),
    "a key of its own in the header": own,
    "a key set of its own": tokenBy("ES256", claims, { kid: "attacker", jku: "http://127.0.0.1:1/jwks" }),
    "a certificate of its own": tokenBy("RS256", claims, { kid: "attacker", x5u: "http://127.0.0.1:1/c", x5c: ["AA"] }),
    "critical extensions": token(claims, { crit: ["b64"], b64: false }),
    "no critical extensions": token(claims, { crit: [] }),
    "an unencoded payload that is not said to be critical": token(claims, { b64: false }),
    "a key's certificate in the header": token(claims, { kid: "attacker", x5c: ["AA"], "x5t#S256": "AA" }),
    "a key in the header beside a known name": tokenBy("ES256", claims, {
      kid: "RS256-key",
      jwk: (publicKey("ES256") as { jwk: object }).jwk,
    }),
    "our own session key's name": token({ ...claims, aud: "sandbox-session" }, { kid: "session" }),
  };
  for (const [name, text] of Object.entries(forged)) {
    const answer = await preview.ask(header(text));
    t.equal(statusOf(answer), 401, name);
    t.match(reasonOf(answer), /^(?:bad_signature|malformed)$/, name);
    t.equal(statusOf(await preview.ask(`Cookie: sandboxd-session=${text}\r\n`)), 401, `${name}, as a session`);
  }
  t.equal(statusOf(await preview.ask(header(token(claims)))), 200, "and the real one does");
});

t.test("a kid is a name and nothing else", async (t) => {
  const preview = await startPrivatePreview(t);
  const claims = claimsFor(preview.id);
  const names = [
    "../../dev/null",
    "main\0",
    " main",
    "MAIN",
    "__proto__",
    "constructor",
    "' OR 1=1 --",
    "",
    "x".repeat(4000),
  ];
  for (const kid of [...names, ["main"], { main: 1 }, 1, null, true]) {
    for (const key of [secret, "", "\0"]) {
      const text = token(claims, { kid }, key);
      t.equal(statusOf(await preview.ask(header(text))), 401, JSON.stringify(kid));
    }
  }
});

/** The same bytes by another last character: of its six bits the last two say nothing (RFC 4648 §3.5). */
function withSpareBits(signature: string): string {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const last = alphabet.indexOf(signature.at(-1)!);
  return `${signature.slice(0, -1)}${alphabet[last ^ 1]}`;
}

t.test("a token is what its signature covers, byte for byte", async (t) => {
  const preview = await startPrivatePreview(t);
  const good = token(claimsFor(preview.id));
  const [head = "", payload = "", signature = ""] = good.split(".");
  const broken = {
    "another payload": `${head}.${encode(claimsFor(preview.id, { sub: "eve" }))}.${signature}`,
    "cut signature": `${head}.${payload}.${signature.slice(0, -2)}`,
    "no signature": `${head}.${payload}.`,
    "four parts": `${good}.${signature}`,
    "five parts, as if it were encrypted": `${good}.AA.AA`,
    padding: `${good}=`,
    "the other alphabet": `${head}.${payload}.${signature.replace(/./, "+")}`,
    "bits behind the signature's end": `${head}.${payload}.${withSpareBits(signature)}`,
    "white space before": `${head}.${payload}.\t${signature}`,
    "an escape": `${head}%2E${payload}.${signature}`,
    "two payloads": `${head}.${payload}.${payload}.${signature}`,
    "another token's header": `${encode({ alg: "HS256", kid: "main", typ: "JWT" })}.${payload}.${signature}`,
    "another first byte": `${head}.${payload}.${signature[0] === "A" ? "B" : "A"}${signature.slice(1)}`,
    "white space inside": `${head}.${payload} .${signature}`,
    "a nested token": token(JSON.stringify(good), { cty: "JWT" }),
    "an array for claims": token("[]"),
    "a null for claims": token("null"),
    "JSON for a serialization": encode(JSON.stringify({ payload, protected: head, signature })),
  };
  for (const [name, text] of Object.entries(broken)) t.equal(statusOf(await preview.ask(header(text))), 401, name);
  t.equal(preview.heads.length, 0);
});

t.test("of a claim that is there twice the last one counts, as for whoever signed it with a library", async (t) => {
  const preview = await startPrivatePreview(t);
  const json = JSON.stringify(claimsFor(preview.id));
  const twice = (before: string, after: string) => token(`{${before}${json.slice(1, -1)}${after}}`);
  t.equal(reasonOf(await preview.ask(header(twice("", ',"sandbox_id":"x"')))), "wrong_sandbox");
  t.equal(reasonOf(await preview.ask(header(twice("", ',"exp":1')))), "expired");
  t.equal(statusOf(await preview.ask(header(twice('"exp":1,', "")))), 200);
});

t.test("huge and odd tokens are refused at once", async (t) => {
  const preview = await startPrivatePreview(t);
  const deep = `{"a":${"[".repeat(3000)}${"]".repeat(3000)}}`;
  const huge = token(claimsFor(preview.id, { more: "x".repeat(200_000) }));
  for (const text of [token(deep), huge, ".".repeat(5000), "e30.e30.".repeat(500), "\xff.\xff.\xff"]) {
    t.equal(statusOf(await preview.ask(header(text))), 401);
  }
});

t.test("a secret that is shared between two keys' names opens by its own name alone", async (t) => {
  const preview = await startPrivatePreview(t, { settings: { keys: [{ ...hmacKey, kid: "second" }] } });
  t.equal(statusOf(await preview.ask(header(token(claimsFor(preview.id))))), 401);
  t.equal(statusOf(await preview.ask(header(token(claimsFor(preview.id), { kid: "second" })))), 200);
});

t.test("a session of our form that we did not sign opens nothing, whatever it says", async (t) => {
  const preview = await startPrivatePreview(t);
  const claims = { ...claimsFor(preview.id, { aud: "sandbox-session", via: hmacKey.fingerprint, kid: "main" }) };
  const signed = `${encode({ alg: "HS256", kid: "session" })}.${encode(claims)}`;
  const by = (key: string | Buffer) => `${signed}.${createHmac("sha256", key).update(signed).digest("base64url")}`;
  for (const key of [secret, "", Buffer.alloc(32)]) {
    t.equal(reasonOf(await preview.ask(`Cookie: sandboxd-session=${by(key)}\r\n`)), "bad_signature");
  }
  const ours = by(Buffer.alloc(32, 7));
  t.equal(statusOf(await preview.ask(`Cookie: sandboxd-session=${ours}\r\n`)), 200, "the test's own session key does");
  t.equal(statusOf(await preview.ask(header(ours))), 401, "but not as a token of an integrator's");
});
