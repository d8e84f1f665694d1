import "reflect-metadata";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { existsSync } from "node:fs";
import { readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as x509 from "@peculiar/x509";
import t, { type Test } from "tap";
import { createAuthority, issueLeaf } from "./certificate-authority.ts";
import { type EdgeConfig, openEdge } from "./edge.ts";
import { testLog } from "./testing/log.ts";
import { daysFromNow, operatorPair } from "./testing/pairs.ts";

function configOf(t: Test, changes: Partial<EdgeConfig> = {}): EdgeConfig {
  const root = t.testdir({ certs: {} });
  return {
    dataDir: root,
    dynamicDir: join(root, "traefik", "dynamic"),
    domain: "example.com",
    entryPoint: "websecure",
    tls: true,
    gatewayUrls: ["http://127.0.0.1:8080"],
    httpsPort: 443,
    certSource: "self-signed",
    certDir: join(root, "certs"),
    acme: null,
    ...changes,
  };
}

t.test("openEdge() writes everything that Traefik needs", async (t) => {
  const config = configOf(t);
  await using edge = await openEdge(config, { logger: testLog().logger });
  t.strictSame((await readdir(config.dynamicDir)).sort(), ["api.yml", "certificate.yml", "previews.yml"]);
  t.match(edge.status(), {
    tls: true,
    source: "self-signed",
    from: "self-signed",
    certificate: { names: ["*.preview.example.com", "preview.example.com"], notAfter: Date },
    nextRenewalAt: Date,
    files: [],
    lastError: null,
    trustAnchor: join(config.dataDir, "certificates", "ca.pem"),
  });
});

t.test("openEdge() keeps private keys to their owner", async (t) => {
  const config = configOf(t);
  await using _edge = await openEdge(config, { logger: testLog().logger });
  const entries = await readdir(config.dataDir, { recursive: true, withFileTypes: true });
  let keys = 0;
  for (const entry of entries.filter((each) => each.isFile())) {
    const path = join(entry.parentPath, entry.name);
    if (!/PRIVATE KEY/.test(await readFile(path, "utf8"))) continue;
    t.equal((await stat(path)).mode & 0o777, 0o600, path);
    keys++;
  }
  t.equal(keys, 2);
  t.equal((await stat(join(config.dataDir, "certificates", "private"))).mode & 0o777, 0o700);
});

t.test("openEdge() changes nothing when it is opened again", async (t) => {
  const config = configOf(t);
  const identities = async () => {
    await using _edge = await openEdge(config, { logger: testLog().logger });
    const names = await readdir(config.dynamicDir);
    return Promise.all(names.map(async (name) => (await stat(join(config.dynamicDir, name))).ino));
  };
  t.strictSame(await identities(), await identities());
});

t.test("openEdge() follows the domain, with an authority that stays", async (t) => {
  const config = configOf(t);
  const ca = () => readFile(join(config.dataDir, "certificates", "ca.pem"), "utf8");
  await using _one = await openEdge(config, { logger: testLog().logger });
  const before = await ca();
  await using other = await openEdge({ ...config, domain: "example.org" }, { logger: testLog().logger });
  t.match(other.status(), { certificate: { names: ["*.preview.example.org", "preview.example.org"] } });
  t.equal(await ca(), before);
  t.match(await readFile(join(config.dynamicDir, "previews.yml"), "utf8"), "*.preview.example.org");
});

t.test("openEdge() has no certificate without TLS, and takes an old one away", async (t) => {
  const config = configOf(t);
  await using _tls = await openEdge(config, { logger: testLog().logger });
  await using plain = await openEdge({ ...config, tls: false }, { logger: testLog().logger });
  t.strictSame(plain.status(), { tls: false, files: [] });
  t.strictSame((await readdir(config.dynamicDir)).sort(), ["api.yml", "previews.yml"]);
});

t.test("openEdge() says what is wrong with the operator's certificate, and offers no preview", async (t) => {
  const config = configOf(t, { certSource: "file" });
  await t.rejects(openEdge(config, { logger: testLog().logger }), {
    name: "CertificateError",
    message: config.certDir,
  });
  t.strictSame(await readdir(config.dynamicDir), []);
});

t.test("openEdge() takes the operator's certificate, and each better one that follows", async (t) => {
  const config = configOf(t, { certSource: "file" });
  const store = async ({ chain, key }: { chain: string; key: string }) => {
    await writeFile(join(config.certDir, "fullchain.pem"), chain);
    await writeFile(join(config.certDir, "privkey.pem"), key);
  };
  const [first, second] = [await operatorPair("example.com", daysFromNow(-10)), await operatorPair("example.com")];
  await store(first);
  const log = testLog();
  await using edge = await openEdge(config, { logger: log.logger });
  t.match(edge.status(), { source: "file", trustAnchor: null });
  const installed = log.next("certificate installed");
  await store(second);
  await installed;
  t.match(edge.status(), { certificate: { fingerprint: new X509Certificate(second.chain).fingerprint256 } });
});

t.test("openEdge() keeps the good certificate while the operator's is bad", async (t) => {
  const config = configOf(t, { certSource: "file" });
  const pair = await operatorPair("example.com");
  await writeFile(join(config.certDir, "tls.crt"), pair.chain);
  await writeFile(join(config.certDir, "tls.key"), pair.key);
  const log = testLog();
  await using edge = await openEdge(config, { logger: log.logger });
  const refused = log.next("certificate not replaced: the one in use stays");
  await writeFile(join(config.certDir, "tls.key"), (await operatorPair("example.com")).key);
  await refused;
  t.match(edge.status(), {
    certificate: { fingerprint: new X509Certificate(pair.chain).fingerprint256 },
    lastError: { message: /private key does not belong/ },
  });
  t.match(await readFile(join(config.dynamicDir, "certificate.yml"), "utf8"), "# Source: file");
});

/** What an operator may put in the place of a good pair, and what is said of it. */
async function badPairs(): Promise<Record<string, { chain: string; key: string; message: RegExp }>> {
  const [pair, other] = [await operatorPair("example.com"), await operatorPair("example.com")];
  const [leaf, issuer] = pair.chain.split(/(?<=-----END CERTIFICATE-----\n)/) as [string, string];
  const key = createPrivateKey(pair.key);
  const encrypted = key.export({ cipher: "aes-256-cbc", passphrase: "x", type: "pkcs8", format: "pem" }) as string;
  const expired = await operatorPair("example.com", daysFromNow(-400));
  const foreign = await operatorPair("example.org");
  const issuers = new x509.AuthorityInfoAccessExtension({ caIssuers: "http://ca.example/issuer.crt" });
  const lone = await issueLeaf(await createAuthority(new Date()), ["*.preview.example.com"], new Date(), [issuers]);
  return {
    "with an encrypted key": { chain: pair.chain, key: encrypted, message: /encrypted: store it without a passphrase/ },
    "in the wrong order": { chain: issuer + leaf, key: pair.key, message: /the leaf is not the first of the chain/ },
    "with another's key": { chain: pair.chain, key: other.key, message: /does not belong to the certificate/ },
    "without its chain": { ...lone, message: /the chain is missing: add the certificate of/ },
    "that has expired": { ...expired, message: /expired at \d{4}-/ },
    "of other names": { ...foreign, message: /does not cover \*\.preview\.example\.com \(it names \*\.preview\.exam/ },
    "that ends sooner": { ...(await operatorPair("example.com", daysFromNow(-90))), message: /before the one in use/ },
  };
}

t.test("openEdge() serves the good certificate on while the operator's is", async (t) => {
  for (const [what, { chain, key, message }] of Object.entries(await badPairs())) {
    t.test(what, async (t) => {
      const config = configOf(t, { certSource: "file" });
      const pair = await operatorPair("example.com", daysFromNow(-30));
      await writeFile(join(config.certDir, "fullchain.pem"), pair.chain);
      await writeFile(join(config.certDir, "privkey.pem"), pair.key);
      const log = testLog();
      await using edge = await openEdge(config, { logger: log.logger });
      const refused = log.next("certificate not replaced: the one in use stays");
      await writeFile(join(config.certDir, "fullchain.pem"), chain);
      await writeFile(join(config.certDir, "privkey.pem"), key);
      await refused;
      t.match(edge.status(), {
        certificate: { fingerprint: new X509Certificate(pair.chain).fingerprint256 },
        lastError: { message },
      });
      const served = await readFile(join(config.dynamicDir, "certificate.yml"), "utf8");
      t.ok(served.includes(pair.chain.split("\n")[3]!));
    });
  }
});

t.test("refresh() leaves the API off the edge once its file is gone", async (t) => {
  const config = configOf(t);
  await using edge = await openEdge(config, { logger: testLog().logger });
  await rm(join(config.dynamicDir, "api.yml"));
  await edge.refresh();
  t.notOk(existsSync(join(config.dynamicDir, "api.yml")));
});

t.test("refresh() renews our own leaf in time", async (t) => {
  let now = daysFromNow(-300);
  await using edge = await openEdge(configOf(t), { logger: testLog().logger, now: () => now });
  const before = edge.status();
  now = new Date();
  await edge.refresh();
  const after = edge.status();
  t.ok(before.tls && after.tls && after.certificate!.notAfter > before.certificate!.notAfter);
});
