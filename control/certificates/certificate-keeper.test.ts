import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createServer } from "node:tls";
import t, { type Test } from "tap";
import { CertificateKeeper, type CertificateStore, type KeeperOptions } from "./certificate-keeper.ts";
import type { CertificateSource } from "./certificate-source.ts";
import type { SourcedPair } from "./dynamic-files.ts";
import type { FileProblem } from "./foreign-file.ts";
import { testLog } from "./testing/log.ts";
import { daysFromNow, operatorPair } from "./testing/pairs.ts";
import { CertificateError, type CertificatePair } from "./valid-certificate.ts";

const domain = "example.com";
const good = await operatorPair(domain, daysFromNow(-10));
const later = await operatorPair(domain, daysFromNow(-5));
const earlier = await operatorPair(domain, daysFromNow(-20));
const foreign = await operatorPair("example.org");

class MemoryStore implements CertificateStore {
  problems: FileProblem[] = [];
  /** Called after each write. */
  wrote: (pair: CertificatePair) => void = () => {};
  stored: SourcedPair | undefined;

  constructor(pair?: CertificatePair, source = "file") {
    if (pair !== undefined) this.stored = { chain: pair.chain, key: pair.key, source };
  }

  async readCertificate(): Promise<SourcedPair | undefined> {
    return this.stored;
  }

  async writeCertificate({ chain, key, source }: SourcedPair): Promise<boolean> {
    const changed = this.stored?.chain !== chain;
    this.stored = { chain, key, source };
    this.wrote(this.stored);
    return changed;
  }
}

/** A source that gives what the test says. */
class SetSource implements CertificateSource {
  readonly name = "file";
  readonly trustAnchor = undefined;
  isAlwaysFresh = false;
  next: CertificatePair | Error | undefined;
  changed: () => void = () => {};
  watched = 0;

  constructor(next: CertificatePair | Error | undefined) {
    this.next = next;
  }

  async obtain(): Promise<CertificatePair | undefined> {
    if (this.next instanceof Error) throw this.next;
    return this.next;
  }

  watch(changed: () => void): AsyncDisposable {
    this.changed = changed;
    this.watched++;
    return { [Symbol.asyncDispose]: async () => void this.watched-- };
  }

  status() {
    return { nextRenewalAt: daysFromNow(1), lastError: null };
  }
}

/** Serves what a store holds, as long as it takes changes; else what it is told to. */
async function serve(t: Test, store: MemoryStore) {
  const server = createServer({ cert: good.chain, key: good.key }).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => server.close());
  const show = ({ chain, key }: CertificatePair) => server.setSecureContext({ cert: chain, key });
  store.wrote = show;
  return { show, traefikAddress: { host: "127.0.0.1", port: (server.address() as AddressInfo).port }, swapMs: 300 };
}

function open(source: CertificateSource, store: CertificateStore, options: Partial<KeeperOptions> = {}) {
  const { logger } = testLog();
  const defaults = { logger, now: () => new Date(), checkEveryMs: 3_600_000, traefikAddress: undefined };
  return CertificateKeeper.open(source, store, domain, { ...defaults, ...options });
}

t.test("open() installs what the source has", async (t) => {
  const store = new MemoryStore();
  await using keeper = await open(new SetSource(good), store);
  t.strictSame(store.stored, { chain: good.chain, key: good.key, source: "file" });
  t.match(keeper.status(), {
    lastError: null,
    served: null,
    inUse: { certificate: { names: ["*.preview.example.com"] } },
  });
});

t.test("open() throws when there is nothing to serve, naming the source", async (t) => {
  await t.rejects(open(new SetSource(foreign), new MemoryStore()), {
    name: "CertificateError",
    message: /^Cannot use the certificate of the source "file": does not cover/,
  });
  await t.rejects(open(new SetSource(new CertificateError("gone")), new MemoryStore(foreign)), { message: /gone/ });
});

t.test("open() keeps what the same source gave before when it has nothing good now", async (t) => {
  const store = new MemoryStore(good);
  await using keeper = await open(new SetSource(new CertificateError("gone")), store);
  t.equal(store.stored?.chain, good.chain);
  t.match(keeper.status().lastError, { at: Date, message: /gone/ });
});

t.test("open() never falls back to another source's certificate", async (t) => {
  const store = new MemoryStore(good, "self-signed");
  await t.rejects(open(new SetSource(new CertificateError("gone")), store), { message: /gone/ });
});

t.test("open() takes one that ends sooner than the one before: the operator restarted control for it", async (t) => {
  const store = new MemoryStore(good);
  await using _keeper = await open(new SetSource(earlier), store);
  t.equal(store.stored?.chain, earlier.chain);
});

t.test("refresh() swaps to one that ends later, and forgets the last error", async (t) => {
  const source = new SetSource(good);
  const store = new MemoryStore();
  await using keeper = await open(source, store);
  source.next = new Error("disk");
  await keeper.refresh();
  t.match(keeper.status().lastError, { message: "disk" });
  source.next = later;
  await keeper.refresh();
  t.equal(store.stored?.chain, later.chain);
  t.equal(keeper.status().lastError, null);
});

const bad = {
  "of another domain": foreign,
  "with another's key": { chain: later.chain, key: good.key },
  "that ends sooner": earlier,
  "that does not parse": { chain: "", key: "" },
};
for (const [what, candidate] of Object.entries(bad)) {
  t.test(`refresh() never takes one ${what}`, async (t) => {
    const source = new SetSource(good);
    const store = new MemoryStore();
    await using keeper = await open(source, store);
    source.next = candidate;
    await keeper.refresh();
    t.equal(store.stored?.chain, good.chain);
    t.match(keeper.status(), {
      inUse: { certificate: { chain: good.chain } },
      lastError: { message: /^Cannot use the certificate/ },
    });
  });
}

t.test("refresh() puts back what somebody took away", async (t) => {
  const store = new MemoryStore();
  await using keeper = await open(new SetSource(good), store);
  store.stored = undefined;
  await keeper.refresh();
  t.equal((store.stored as SourcedPair | undefined)?.chain, good.chain);
});

t.test("refresh() takes one that ends sooner from a source that gives nothing stale", async (t) => {
  const source = new SetSource(good);
  source.isAlwaysFresh = true;
  const store = new MemoryStore();
  await using _keeper = await open(source, store);
  source.next = earlier;
  await _keeper.refresh();
  t.equal(store.stored?.chain, earlier.chain);
});

t.test("open() waits for nothing when the first one is still to come", async (t) => {
  const source = new SetSource(undefined);
  const store = new MemoryStore();
  await using keeper = await open(source, store);
  t.match(keeper.status(), { inUse: undefined, nextRenewalAt: Date, lastError: null, served: null });
  t.equal(store.stored, undefined);
  source.next = good;
  await keeper.refresh();
  await keeper.installed;
  t.equal(store.stored?.chain, good.chain);
});

t.test("open() keeps another source's certificate until the first one comes, whenever it ends", async (t) => {
  const source = new SetSource(undefined);
  const store = new MemoryStore(later, "self-signed");
  await using keeper = await open(source, store);
  t.match(keeper.status(), { inUse: { source: "self-signed", certificate: { chain: later.chain } } });
  store.stored = undefined;
  await keeper.refresh();
  t.match(store.stored, { chain: later.chain, source: "self-signed" });
  source.next = good;
  await keeper.refresh();
  t.match(keeper.status(), { inUse: { source: "file", certificate: { chain: good.chain } }, lastError: null });
});

t.test("open() does not wait with a bad certificate of another source", async (t) => {
  await using keeper = await open(new SetSource(undefined), new MemoryStore(foreign, "self-signed"));
  t.equal(keeper.status().inUse, undefined);
});

t.test("the keeper asks again when the source says so", async (t) => {
  const source = new SetSource(good);
  const store = new MemoryStore();
  const log = testLog();
  await using _keeper = await open(source, store, { logger: log.logger });
  source.next = later;
  const installed = log.next("certificate installed");
  source.changed();
  await installed;
  t.equal(store.stored?.chain, later.chain);
});

t.test("the keeper asks again by its timer", async (t) => {
  const source = new SetSource(good);
  const store = new MemoryStore();
  const log = testLog();
  await using _keeper = await open(source, store, { logger: log.logger, checkEveryMs: 1 });
  const alive = setInterval(() => {}, 1000);
  t.teardown(() => clearInterval(alive));
  source.next = later;
  await log.next("certificate installed");
  t.equal(store.stored?.chain, later.chain);
});

t.test("the keeper leaves nothing running when it is disposed of", async (t) => {
  const source = new SetSource(good);
  const store = new MemoryStore();
  // Nobody answers there, and the proof would go on for a minute.
  const keeper = await open(source, store, { checkEveryMs: 1, traefikAddress: { host: "127.0.0.1", port: 1 } });
  await keeper[Symbol.asyncDispose]();
  t.equal(source.watched, 0);
  source.next = later;
  await keeper.refresh();
  t.equal(store.stored?.chain, good.chain);
});

t.test("refresh() settles when the new one is served", async (t) => {
  const [source, store] = [new SetSource(good), new MemoryStore()];
  const { show: _show, ...edge } = await serve(t, store);
  await using keeper = await open(source, store, edge);
  source.next = later;
  await keeper.refresh();
  t.match(keeper.status(), { served: true, lastError: null, inUse: { certificate: { chain: later.chain } } });
});

t.test("refresh() puts the one before back when Traefik takes no change, and says why", async (t) => {
  const [source, store] = [new SetSource(good), new MemoryStore(good)];
  const { show, ...edge } = await serve(t, store);
  store.wrote = () => {};
  store.problems = [{ file: "foreign.yml", problem: "does not parse" }];
  await using keeper = await open(source, store, edge);
  source.next = later;
  await keeper.refresh();
  t.equal(store.stored?.chain, good.chain);
  const message =
    'Cannot use the certificate of the source "file": Traefik takes no change of its dynamic directory: ' +
    "foreign.yml does not parse; the one before was put back";
  t.match(keeper.status(), { inUse: { certificate: { chain: good.chain } }, lastError: { message } });
  store.wrote = show;
  await keeper.refresh();
  t.equal(store.stored?.chain, later.chain);
  t.match(keeper.status(), { served: true, lastError: null });
});

t.test("refresh() puts the one before back when Traefik serves something else, and does not try again", async (t) => {
  const [source, store] = [new SetSource(good), new MemoryStore()];
  const { show, ...edge } = await serve(t, store);
  await using keeper = await open(source, store, edge);
  const written: string[] = [];
  store.wrote = (pair) => {
    written.push(pair.chain);
    show(pair.chain === later.chain ? foreign : pair);
  };
  source.next = later;
  await keeper.refresh();
  t.strictSame(written, [later.chain, good.chain]);
  t.match(keeper.status().lastError, { message: /Traefik serves another one; the one before was put back$/ });
  await keeper.refresh();
  t.strictSame(written.slice(2), []);
  t.match(keeper.status().lastError, { message: /Traefik does not serve it$/ });
});

t.test("refresh() leaves the new one when the one before is no good any more", async (t) => {
  let now = new Date();
  const [source, store] = [new SetSource(earlier), new MemoryStore()];
  const { show, ...edge } = await serve(t, store);
  await using keeper = await open(source, store, { ...edge, now: () => now });
  show(earlier);
  store.wrote = () => {};
  now = daysFromNow(380);
  source.next = good;
  await keeper.refresh();
  t.equal(store.stored?.chain, good.chain);
  t.match(keeper.status().lastError, { message: /Traefik takes no change of its dynamic directory$/ });
});

t.test("refresh() takes the new one unproven when Traefik did not serve the one before", async (t) => {
  const [source, store] = [new SetSource(good), new MemoryStore()];
  const { show, ...edge } = await serve(t, store);
  store.wrote = () => {};
  show(foreign);
  await using keeper = await open(source, store, edge);
  source.next = later;
  await keeper.refresh();
  t.equal(store.stored?.chain, later.chain);
  t.match(keeper.status(), { lastError: null, served: null });
});
