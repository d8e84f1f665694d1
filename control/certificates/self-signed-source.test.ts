import { X509Certificate } from "node:crypto";
import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import t, { type Test } from "tap";
import { createAuthority, issueLeaf } from "./certificate-authority.ts";
import { SelfSignedSource } from "./self-signed-source.ts";
import { testLog } from "./testing/log.ts";
import { daysFromNow, operatorPair } from "./testing/pairs.ts";
import { validateCertificate } from "./valid-certificate.ts";

function open(directory: string, domain = "example.com") {
  const log = testLog();
  const source = new SelfSignedSource(directory, join(directory, "private"), domain, log.logger);
  /** Validated, as it is when it is in use. */
  const obtain = async (inUse?: ReturnType<typeof validateCertificate>, now = new Date()) =>
    validateCertificate(await source.obtain(inUse, now), domain, now);
  return { source, obtain, log };
}
const newDirectory = (t: Test) => t.testdir({ private: {} });
const issuedBy = async (chain: string, path: string) =>
  new X509Certificate(chain).verify(new X509Certificate(await readFile(path)).publicKey);

t.test("obtain() makes an authority whose certificate all may read and whose key nobody may", async (t) => {
  const directory = newDirectory(t);
  const { source, obtain } = open(directory);
  const { names, chain } = await obtain();
  t.strictSame(names, ["*.preview.example.com", "preview.example.com"]);
  t.equal(source.trustAnchor, join(directory, "ca.pem"));
  t.equal((await stat(source.trustAnchor)).mode & 0o777, 0o644);
  t.equal((await stat(join(directory, "private", "ca.key"))).mode & 0o777, 0o600);
  t.ok(await issuedBy(chain, source.trustAnchor));
});

t.test("obtain() keeps a good leaf, over a restart as well", async (t) => {
  const directory = newDirectory(t);
  const first = await open(directory).obtain();
  t.equal((await open(directory).obtain(first)).fingerprint, first.fingerprint);
});

t.test("obtain() renews a leaf after two thirds of its life, of the same authority", async (t) => {
  const directory = newDirectory(t);
  const { source, obtain } = open(directory);
  const first = await obtain();
  t.equal((await obtain(first, daysFromNow(263))).fingerprint, first.fingerprint);
  const later = await obtain(first, daysFromNow(265));
  t.ok(later.notAfter > first.notAfter);
  t.ok(await issuedBy(later.chain, source.trustAnchor));
});

t.test("obtain() makes a new leaf for another domain, of the same authority", async (t) => {
  const directory = newDirectory(t);
  const first = await open(directory).obtain();
  const { source, obtain } = open(directory, "example.org");
  const other = await obtain(first);
  t.strictSame(other.names, ["*.preview.example.org", "preview.example.org"]);
  t.ok(await issuedBy(other.chain, source.trustAnchor));
});

t.test("obtain() makes a new leaf when the one in use is of another authority", async (t) => {
  const authority = await createAuthority(new Date());
  const names = ["*.preview.example.com", "preview.example.com"];
  const foreign = validateCertificate(await issueLeaf(authority, names, new Date()), "example.com", new Date());
  const { obtain } = open(newDirectory(t));
  t.not((await obtain(foreign)).fingerprint, foreign.fingerprint);
});

t.test("obtain() replaces an authority that is damaged, and says so", async (t) => {
  const directory = newDirectory(t);
  const { source, obtain, log } = open(directory);
  await obtain();
  const key = join(directory, "private", "ca.key");
  for (const [path, damage] of [
    [source.trustAnchor, "damaged"],
    [key, (await operatorPair("example.com")).key],
  ] as const) {
    await writeFile(path, damage);
    t.ok(await issuedBy((await obtain()).chain, source.trustAnchor));
    t.equal(log.lines.at(-2)?.msg, "local certificate authority replaced: trust the new one");
  }
});

t.test("obtain() replaces an authority a month before its end", async (t) => {
  const { source, obtain, log } = open(newDirectory(t));
  await obtain(undefined, daysFromNow(0));
  const before = await readFile(source.trustAnchor, "utf8");
  await obtain(undefined, daysFromNow(3600));
  t.equal(await readFile(source.trustAnchor, "utf8"), before);
  await obtain(undefined, daysFromNow(3630));
  t.not(await readFile(source.trustAnchor, "utf8"), before);
  t.ok(log.lines.some((line) => line.msg === "local certificate authority replaced: trust the new one"));
});
