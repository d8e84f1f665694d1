/** Against a real CA (Pebble) that asks a real name server (Knot). */
import { chmod, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import t from "tap";
import { missingPart } from "../../../e2e/parts/parts.ts";
import { type AcmeTest, acmeConfig, openAcme } from "../testing/acme.ts";
import { startAuthorityProxy } from "../testing/authority-proxy.ts";
import { startKnot } from "../testing/knot.ts";
import { startPebble } from "../testing/pebble.ts";
import { eventually } from "../testing/traefik.ts";

const day = 86_400_000;
const daysUntil = (time: Date | null) => (Number(time) - Date.now()) / day;
const lastErrorOf = ({ source }: AcmeTest) => source.status().lastError?.message;
const count = (asked: readonly string[], what: string) => asked.filter((each) => each === what).length;

t.test("with a CA", { skip: missingPart("pebble", "knot") }, async (t) => {
  const knot = await startKnot(t);
  const pebble = await startPebble(t, { nameServer: knot.address });
  const config = acmeConfig(knot, pebble.directoryUrl);

  t.test("turn() gets the wildcard certificate with its chain, and leaves nothing in the DNS", async (t) => {
    const acme = await openAcme(t, knot, config, "issue");
    t.equal(await acme.source.obtain(), undefined);
    t.equal(await acme.turn(), true);
    const { names, chain, notAfter } = await acme.certificate();
    t.strictSame(names, ["*.preview.issue.example.com"]);
    t.ok(chain.match(/BEGIN CERTIFICATE/g)!.length > 1);
    t.equal(Math.round(daysUntil(notAfter)), 90);
    t.match(acme.source.status(), { lastError: null });
    t.notOk(acme.log.lines.some(({ level }) => level >= 40));
    t.equal(await acme.turn(), false, "nothing is due now");
    t.strictSame(await knot.texts("_acme-challenge.preview.issue.example.com"), []);
  });

  t.test("turn() keeps the account and every key to their owner, and uses the account again", async (t) => {
    const proxy = await startAuthorityProxy(t, pebble);
    const first = await openAcme(t, knot, { ...config, directoryUrl: proxy.directoryUrl }, "account");
    await first.turn();
    for (const entry of await readdir(join(first.directory, "private"), { recursive: true, withFileTypes: true })) {
      const { mode } = await stat(join(entry.parentPath, entry.name));
      t.equal(mode & 0o777, entry.isFile() ? 0o600 : 0o700, entry.name);
    }
    const again = await first.restart();
    t.equal((await again.certificate()).fingerprint, (await first.certificate()).fingerprint);
    t.equal(await again.turn(), false);
    again.at(62);
    t.equal(await again.turn(), true);
    t.not((await again.certificate()).fingerprint, (await first.certificate()).fingerprint);
    t.equal(count(proxy.asked, "POST sign-me-up"), 1);
    t.equal(count(proxy.asked, "POST order-plz"), 2);
  });

  t.test("turn() finds the account again when the answer to its registration was lost", async (t) => {
    const proxy = await startAuthorityProxy(t, pebble);
    const first = await openAcme(t, knot, { ...config, directoryUrl: proxy.directoryUrl }, "lost");
    proxy.refuse = (asked) => (asked === "POST order-plz" ? "lost" : undefined);
    await first.turn();
    const [place] = await readdir(join(first.directory, "private", "acme"));
    const path = join(first.directory, "private", "acme", place!, "account.json");
    const account = JSON.parse(await readFile(path, "utf8"));
    await writeFile(path, JSON.stringify({ ...account, url: null }));
    proxy.refuse = () => undefined;
    const again = await first.restart();
    again.at(1);
    t.equal(await again.turn(), true, String(lastErrorOf(again)));
    t.strictSame(JSON.parse(await readFile(path, "utf8")), account);
  });

  t.test("turn() tells the CA a new e-mail address", async (t) => {
    const proxy = await startAuthorityProxy(t, pebble);
    const first = await openAcme(t, knot, { ...config, directoryUrl: proxy.directoryUrl }, "contact");
    await first.turn();
    const again = await first.restart({ email: "ada@example.com" });
    again.at(62);
    await again.turn();
    t.match(
      proxy.payloads.find((payload) => (payload as { contact?: unknown })?.contact),
      { contact: ["mailto:ada@example.com"], termsOfServiceAgreed: true },
    );
  });

  t.test("turn() registers anew when the CA has forgotten the account", async (t) => {
    const proxy = await startAuthorityProxy(t, pebble);
    const acme = await openAcme(t, knot, { ...config, directoryUrl: proxy.directoryUrl }, "forgotten");
    await acme.turn();
    const other = await startPebble(t, { nameServer: knot.address });
    proxy.upstream = other.directoryUrl;
    acme.at(62);
    t.equal(await acme.turn(), true);
    t.match(acme.source.status(), { lastError: null });
    t.equal(count(proxy.asked, "POST sign-me-up"), 2);
  });

  t.test("turn() renews in the CA's window, and says what is replaced", async (t) => {
    const proxy = await startAuthorityProxy(t, pebble);
    const acme = await openAcme(t, knot, { ...config, directoryUrl: proxy.directoryUrl }, "window");
    await acme.turn();
    await acme.turn();
    // Pebble's own: a day before and after two thirds of the life.
    const days = daysUntil(acme.source.status().nextRenewalAt);
    t.ok(days > 58.9 && days < 61.1, String(days));
    const { nextRenewalAt } = (await acme.restart()).source.status();
    t.strictSame(nextRenewalAt, acme.source.status().nextRenewalAt, "it is drawn once");
    const { chain, fingerprint } = await acme.certificate();
    const window = {
      start: new Date(Date.now() - 2 * day).toISOString(),
      end: new Date(Date.now() - day).toISOString(),
    };
    const explanationURL = "https://example.com/incident";
    await fetch(`${pebble.managementUrl}/set-renewal-info/`, {
      method: "POST",
      body: JSON.stringify({
        certificate: chain,
        ariResponse: JSON.stringify({ suggestedWindow: window, explanationURL }),
      }),
    });
    t.equal(await acme.turn(), false, "it is not asked again at once");
    acme.at(0.3);
    t.equal(await acme.turn(), true);
    t.not((await acme.certificate()).fingerprint, fingerprint);
    t.ok(acme.log.lines.some((line) => line.explanationUrl === explanationURL));
    const [first, second] = proxy.payloads.filter((each) => (each as { identifiers?: unknown })?.identifiers);
    t.notOk((first as { replaces?: string }).replaces);
    t.match((second as { replaces?: string }).replaces, /^[\w-]+\.[\w-]+$/);
  });

  t.test("turn() gets a certificate although the CA takes nothing for replaced", async (t) => {
    const proxy = await startAuthorityProxy(t, pebble);
    const acme = await openAcme(t, knot, { ...config, directoryUrl: proxy.directoryUrl }, "replaced");
    await acme.turn();
    let refused = 0;
    proxy.refuse = (asked) =>
      asked === "POST order-plz" && refused++ === 0 ? { status: 409, type: "alreadyReplaced" } : undefined;
    acme.at(62);
    t.equal(await acme.turn(), true);
    t.equal(refused, 2);
  });

  t.test("turn() gets a short-lived certificate by its profile, and renews it after half of its life", async (t) => {
    const proxy = await startAuthorityProxy(t, pebble);
    proxy.refuse = (asked) => (asked.includes("ari") ? { status: 404, type: "malformed" } : undefined);
    const acme = await openAcme(
      t,
      knot,
      { ...config, directoryUrl: proxy.directoryUrl, profile: "shortlived" },
      "short",
    );
    await acme.turn();
    t.equal(Math.round(daysUntil((await acme.certificate()).notAfter)), 6);
    t.equal(await acme.turn(), false);
    t.ok(acme.log.lines.some(({ msg }) => msg === "the CA does not tell when to renew the certificate"));
    const days = daysUntil(acme.source.status().nextRenewalAt);
    t.ok(days > 2.6 && days < 3.01, String(days));
    acme.at(2.5);
    t.equal(await acme.turn(), false);
    acme.at(3.1);
    t.equal(await acme.turn(), true);
  });

  t.test("turn() changes to another profile at once, even to one that ends sooner", async (t) => {
    const acme = await openAcme(t, knot, config, "profile");
    await acme.turn();
    const again = await acme.restart({ profile: "shortlived" });
    t.equal(await again.source.obtain(), undefined);
    t.equal(await again.turn(), true);
    t.equal(Math.round(daysUntil((await again.certificate()).notAfter)), 6);
    const unknown = await acme.restart({ profile: "nonsense" });
    t.equal(await unknown.turn(), false);
    t.match(lastErrorOf(unknown), /^the CA refuses: .*nonsense.* \(invalidProfile\)$/);
  });

  t.test("turn() waits as long as a CA with a rate limit says", async (t) => {
    const proxy = await startAuthorityProxy(t, pebble);
    const acme = await openAcme(t, knot, { ...config, directoryUrl: proxy.directoryUrl }, "limited");
    proxy.refuse = (asked) =>
      asked === "POST order-plz" ? { status: 429, type: "rateLimited", retryAfter: "36000" } : undefined;
    t.equal(await acme.turn(), false);
    t.equal(lastErrorOf(acme), "the CA refuses: a test says rateLimited (rateLimited)");
    t.equal(Math.round(daysUntil(acme.source.status().nextRenewalAt) * 24), 10);
    const again = await acme.restart();
    for (const source of [acme, again]) {
      source.at(9 / 24);
      t.equal(await source.turn(), false);
    }
    t.equal(count(proxy.asked, "POST order-plz"), 1);
    proxy.refuse = () => undefined;
    again.at(10.1 / 24);
    t.equal(await again.turn(), true);
    t.equal(lastErrorOf(again), undefined);
  });

  t.test("turn() outlasts a CA that is down for a day, asks it seldom, and renews when it is back", async (t) => {
    const proxy = await startAuthorityProxy(t, pebble);
    const acme = await openAcme(t, knot, { ...config, directoryUrl: proxy.directoryUrl }, "down");
    await acme.turn();
    const { fingerprint } = await acme.certificate();
    proxy.asked.length = 0;
    proxy.refuse = () => "lost";
    for (let minutes = 0; minutes <= 24 * 60; minutes += 5) {
      acme.at(62 + minutes / (24 * 60));
      t.equal(await acme.turn(), false);
    }
    const attempts = acme.log.lines.filter(({ msg }) => msg === "the CA gave no certificate").length;
    t.ok(attempts >= 6 && attempts <= 11, String(attempts));
    t.match(lastErrorOf(acme), /^the CA does not answer: /);
    t.equal((await acme.certificate()).fingerprint, fingerprint);
    proxy.refuse = () => undefined;
    acme.at(63.31);
    t.equal(await acme.turn(), true);
    t.not((await acme.certificate()).fingerprint, fingerprint);
  });

  t.test("turn() answers no challenge before the record is at the name servers", async (t) => {
    const proxy = await startAuthorityProxy(t, pebble);
    const dns = { method: "exec", program: "/bin/true", environment: {} } as const;
    const settings = { ...config, directoryUrl: proxy.directoryUrl, dns, dnsWaitSeconds: 1 };
    const acme = await openAcme(t, knot, settings, "unanswered");
    t.equal(await acme.turn(), false);
    const name = "_acme-challenge.preview.unanswered.example.com";
    t.match(
      lastErrorOf(acme),
      `the record ${name} is not at every name server of example.com (ns1.example.com: does not`,
    );
    t.equal(count(proxy.asked, "POST chalZ"), 0);
    const mended = await acme.restart({ dns: config.dns });
    t.equal(await mended.turn(), true, "another configuration is tried at once");
    t.equal(count(proxy.asked, "POST order-plz"), 1, "the order goes on");
  });

  t.test("turn() says why the CA does not believe it, and begins with a new order", async (t) => {
    const blind = await startPebble(t, { nameServer: "127.0.0.1:1" });
    const proxy = await startAuthorityProxy(t, blind);
    const acme = await openAcme(t, knot, { ...config, directoryUrl: proxy.directoryUrl }, "disbelieved");
    t.equal(await acme.turn(), false);
    t.match(
      lastErrorOf(acme),
      /^the CA declares _acme-challenge.preview.disbelieved.example.com invalid: .*127.0.0.1:1/,
    );
    t.strictSame(await knot.texts("_acme-challenge.preview.disbelieved.example.com"), []);
    acme.at(1);
    t.equal(await acme.turn(), false);
    t.equal(count(proxy.asked, "POST order-plz"), 2);
  });

  t.test("open() takes damaged files for none, and says so", async (t) => {
    const acme = await openAcme(t, knot, config, "damaged");
    await acme.turn();
    const files = await readdir(join(acme.directory, "private", "acme"), { recursive: true, withFileTypes: true });
    for (const each of files.filter((each) => each.isFile())) await writeFile(join(each.parentPath, each.name), "{");
    const again = await acme.restart();
    t.equal(await again.turn(), true);
    t.equal(again.log.lines.filter(({ msg }) => msg.includes("is damaged")).length, 3);
  });

  t.test("watch() ends in the middle of an order, and takes its record back", async (t) => {
    const directory = t.testdir({ hook: '#!/bin/sh\necho "$1 $2" >>"$PLACE"\n' });
    const [program, place] = [join(directory, "hook"), join(directory, "calls")];
    await chmod(program, 0o755);
    const dns = { method: "exec", program, environment: { PLACE: place } } as const;
    const acme = await openAcme(t, knot, { ...config, dns }, "ended", directory);
    const watch = acme.source.watch(() => t.fail("it was changed"));
    const calls = () => readFile(place, "utf8").catch(() => "");
    await eventually(async () => (await calls()) !== "");
    await watch[Symbol.asyncDispose]();
    const name = "_acme-challenge.preview.ended.example.com.";
    t.equal(await calls(), `present ${name}\ncleanup ${name}\n`);
    t.match(acme.source.status(), { lastError: null });
  });

  t.test("watch() calls back when there is a certificate", async (t) => {
    const acme = await openAcme(t, knot, config, "watched");
    const changed = Promise.withResolvers<void>();
    await using _watch = acme.source.watch(changed.resolve);
    await changed.promise;
    t.ok(await acme.certificate());
  });
});

t.test("with a CA that refuses every second nonce", { skip: missingPart("pebble", "knot") }, async (t) => {
  const knot = await startKnot(t);
  const pebble = await startPebble(t, { nameServer: knot.address, rejectedNonces: 50 });
  const acme = await openAcme(t, knot, acmeConfig(knot, pebble.directoryUrl), "nonces");
  t.equal(await acme.turn(), true, String(lastErrorOf(acme)));
});

t.test("with a CA that wants accounts to be bound", { skip: missingPart("pebble", "knot") }, async (t) => {
  const externalAccount = { kid: "kid-1", hmacKey: "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W" };
  const knot = await startKnot(t);
  const pebble = await startPebble(t, { nameServer: knot.address, externalAccount });
  const config = acmeConfig(knot, pebble.directoryUrl);
  const unbound = await openAcme(t, knot, config, "bound");
  t.equal(await unbound.turn(), false);
  t.match(lastErrorOf(unbound), /externalAccountRequired/);
  const wrong = await unbound.restart({ externalAccount: { ...externalAccount, hmacKey: "d3Jvbmc" } });
  t.equal(await wrong.turn(), false);
  t.match(lastErrorOf(wrong), /^the CA refuses: /);
  const bound = await unbound.restart({ externalAccount });
  t.equal(await bound.turn(), true, String(lastErrorOf(bound)));
});
