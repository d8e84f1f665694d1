import { X509Certificate } from "node:crypto";
import t from "tap";
import { createAuthority, issueLeaf } from "./certificate-authority.ts";
import { day } from "./testing/pairs.ts";

const now = new Date("2030-06-01T12:00:00Z");

t.test("createAuthority() makes a certificate that signs and lasts ten years", async (t) => {
  const { chain } = await createAuthority(now);
  const certificate = new X509Certificate(chain);
  t.equal(certificate.ca, true);
  t.ok(certificate.verify(certificate.publicKey));
  t.ok(certificate.validFromDate < now);
  t.equal(Math.round((certificate.validToDate.getTime() - now.getTime()) / day), 3650);
});

t.test("createAuthority() makes another one each time", async (t) => {
  const [one, other] = [await createAuthority(now), await createAuthority(now)];
  t.not(new X509Certificate(one.chain).subject, new X509Certificate(other.chain).subject);
  t.not(one.key, other.key);
});

t.test("issueLeaf() makes a server's certificate of the names that the authority signed", async (t) => {
  const authority = await createAuthority(now);
  const leaf = await issueLeaf(authority, ["*.preview.example.com", "preview.example.com"], now);
  const certificate = new X509Certificate(leaf.chain);
  const issuer = new X509Certificate(authority.chain);
  t.ok(certificate.checkIssued(issuer));
  t.ok(certificate.verify(issuer.publicKey));
  t.equal(certificate.ca, false);
  t.strictSame(certificate.keyUsage, ["1.3.6.1.5.5.7.3.1"]);
  t.equal(certificate.subjectAltName, "DNS:*.preview.example.com, DNS:preview.example.com");
  t.equal(certificate.subject, "CN=*.preview.example.com");
});

t.test("issueLeaf() stays within the 397 days that clients accept", async (t) => {
  const { chain } = await issueLeaf(await createAuthority(now), ["a.test"], now);
  const { validFromDate, validToDate } = new X509Certificate(chain);
  t.ok(validFromDate < now);
  t.ok(validToDate.getTime() - validFromDate.getTime() <= 397 * day);
});

t.test("issueLeaf() never outlives its authority", async (t) => {
  const authority = await createAuthority(new Date(now.getTime() - 3600 * day));
  const { chain } = await issueLeaf(authority, ["a.test"], now);
  t.strictSame(new X509Certificate(chain).validToDate, new X509Certificate(authority.chain).validToDate);
});

t.test("issueLeaf() takes names that are too long for a common name", async (t) => {
  const name = `*.preview.${"a".repeat(60)}.${"b".repeat(60)}.test`;
  const { chain } = await issueLeaf(await createAuthority(now), [name], now);
  const certificate = new X509Certificate(chain);
  t.equal(certificate.subject, "CN=sandboxd previews");
  t.equal(certificate.subjectAltName, `DNS:${name}`);
});
