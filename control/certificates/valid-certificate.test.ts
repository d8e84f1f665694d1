import "reflect-metadata";
import { createPrivateKey, generateKeyPairSync } from "node:crypto";
import * as x509 from "@peculiar/x509";
import t, { type Test } from "tap";
import { createAuthority, issueLeaf } from "./certificate-authority.ts";
import { daysFromNow, operatorPair } from "./testing/pairs.ts";
import { CertificateError, validateCertificate } from "./valid-certificate.ts";

const domain = "example.com";
const pair = await operatorPair(domain);
const now = new Date();

const refuses = (t: Test, candidate: { chain: string; key: string }, message: RegExp, at = now) => {
  t.throws(() => validateCertificate(candidate, domain, at), { name: "CertificateError", message });
};

t.test("validateCertificate() says what a good pair is", async (t) => {
  const valid = validateCertificate(pair, domain, now);
  t.strictSame(valid.names, ["*.preview.example.com"]);
  t.match(valid.issuer, /^O=sandboxd, CN=sandboxd local CA /);
  t.match(valid.fingerprint, /^([0-9A-F]{2}:){31}[0-9A-F]{2}$/);
  t.ok(valid.notBefore < now && now < valid.notAfter);
});

t.test("validateCertificate() gives the PEMs back without what stood around them", async (t) => {
  const noisy = { chain: `Bag Attributes\n${pair.chain}\n# the end`, key: pair.key };
  const valid = validateCertificate(noisy, domain, now);
  t.equal(valid.chain, pair.chain);
  t.equal(valid.key, pair.key);
});

t.test("validateCertificate() takes a lone leaf: who signed it is the clients' business", async (t) => {
  const authority = await createAuthority(now);
  t.ok(validateCertificate(await issueLeaf(authority, ["*.preview.example.com"], now), domain, now));
});

t.test("validateCertificate() takes a key in the older form of its algorithm", async (t) => {
  const key = createPrivateKey(pair.key).export({ type: "sec1", format: "pem" }) as string;
  t.equal(validateCertificate({ chain: pair.chain, key }, domain, now).key, pair.key);
});

t.test("validateCertificate() refuses a key of another certificate", async (t) => {
  refuses(t, { chain: pair.chain, key: (await operatorPair(domain)).key }, /private key does not belong/);
});

t.test("validateCertificate() refuses a leaf that is not the first", async (t) => {
  const [leaf, authority] = pair.chain.split(/(?<=-----END CERTIFICATE-----\n)/);
  refuses(t, { chain: `${authority}${leaf}`, key: pair.key }, /leaf is not the first/);
});

t.test("validateCertificate() says which part of a chain is out of order", async (t) => {
  const root = await createAuthority(now);
  const [leaf, issuer] = pair.chain.split(/(?<=-----END CERTIFICATE-----\n)/);
  refuses(t, { chain: `${leaf}${root.chain}${issuer}`, key: pair.key }, /wrong order, number 3 must follow it$/);
});

t.test("validateCertificate() refuses a lone leaf that says where its issuer is to be had", async (t) => {
  const authority = await createAuthority(now);
  const names = ["*.preview.example.com"];
  const leaf = await issueLeaf(authority, names, now, [
    new x509.AuthorityInfoAccessExtension({ caIssuers: "http://ca.example/issuer.crt" }),
  ]);
  refuses(t, leaf, /^the chain is missing: add the certificate of O=sandboxd, CN=sandboxd local CA /);
  t.ok(validateCertificate({ chain: leaf.chain + authority.chain, key: leaf.key }, domain, now));
});

t.test("validateCertificate() refuses a chain that another authority's certificate ends", async (t) => {
  const [leaf] = pair.chain.split(/(?<=-----END CERTIFICATE-----\n)/);
  const { ca } = await operatorPair(domain);
  refuses(t, { chain: `${leaf}${ca}`, key: pair.key }, /certificate 1 of the chain is not signed by the one after it/);
});

t.test("validateCertificate() refuses names that do not cover every preview", async (t) => {
  for (const names of [
    ["*.example.com"],
    ["*.preview.example.org"],
    ["preview.example.com"],
    ["x.preview.example.com"],
  ]) {
    const candidate = await issueLeaf(await createAuthority(now), names, now);
    refuses(t, candidate, /does not cover \*\.preview\.example\.com \(it names /);
  }
});

t.test("validateCertificate() refuses what is not in force yet, or no longer", async (t) => {
  refuses(t, pair, /^valid only from /, daysFromNow(-1));
  refuses(t, pair, /^expired at /, daysFromNow(400));
});

t.test("validateCertificate() refuses what is no PEM", async (t) => {
  refuses(t, { chain: "", key: pair.key }, /no PEM certificate/);
  refuses(t, { chain: pair.chain.replace(/M/, "?"), key: pair.key }, /certificate 1 of the chain does not parse/);
  refuses(t, { chain: pair.chain, key: "secret" }, /not a PEM private key/);
});

t.test("validateCertificate() refuses keys that Traefik cannot serve", async (t) => {
  const options = { cipher: "aes-256-cbc", passphrase: "x", type: "pkcs8", format: "pem" } as const;
  const encrypted = createPrivateKey(pair.key).export(options) as string;
  refuses(t, { chain: pair.chain, key: encrypted }, /encrypted/);
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "secp256k1" });
  const key = privateKey.export({ type: "pkcs8", format: "pem" }) as string;
  refuses(t, { chain: pair.chain, key }, /key of the type secp256k1/);
});

t.test("CertificateError never carries the key", async (t) => {
  try {
    validateCertificate(
      { chain: pair.chain, key: "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----" },
      domain,
      now,
    );
    t.fail("it was taken");
  } catch (error) {
    t.ok(error instanceof CertificateError);
    t.notMatch(`${(error as Error).message} ${((error as Error).cause as Error).message}`, /c2VjcmV0/);
  }
});
