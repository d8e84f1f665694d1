import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import t, { type Test } from "tap";
import type { AccessMessage } from "#contract/access.ts";
import { AccessStore } from "../sqlite/access-store.ts";
import { Database } from "../sqlite/database.ts";
import { newDirectory } from "../testing/control.ts";
import { silent } from "../testing/fixture.ts";
import { newPair } from "../testing/tokens.ts";
import type { AccessConfig } from "./access-config.ts";
import { AccessKeeper } from "./access-keeper.ts";

const nothing: AccessConfig = {
  ...{ tokenSecrets: [], jwksUrl: null, jwksFile: null, redirectUrl: null, denyMode: "redirect" },
};

function newKeeper(t: Test, config: Partial<AccessConfig> = {}, database = newDatabase(t)) {
  const clock = { now: 1_000_000 };
  const store = new AccessStore(database);
  const options = { store, secure: true, logger: silent, now: () => clock.now };
  const keeper = new AccessKeeper({ ...nothing, ...config }, options);
  const told: AccessMessage[] = [];
  keeper.subscribe((line) => told.push(JSON.parse(line)));
  const kids = () => keeper.message().settings.keys.map(({ alg, kid }) => `${alg} ${kid}`);
  return { keeper, clock, told, kids, store, database };
}

function newDatabase(t: Test): Database {
  const database = new Database(":memory:", () => {});
  t.teardown(() => database.close());
  return database;
}

/** A key set at a URL, which a test changes; counts how often it was asked for. */
async function serveKeys(t: Test) {
  const released = Promise.withResolvers<void>();
  const hold: (() => void) | undefined = undefined as (() => void) | undefined;
  const served = { keys: [newPair("one").jwk], status: 200, asked: 0, url: "", hold, release: released.resolve };
  const server = createServer(async (_, response) => {
    served.asked++;
    served.hold?.();
    if (served.hold !== undefined) await released.promise;
    response
      .writeHead(served.status, { "content-type": "application/json" })
      .end(JSON.stringify({ keys: served.keys }));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => server.close());
  served.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`;
  return served;
}

t.test("AccessKeeper tells everything first, and keeps its key", async (t) => {
  const { keeper, told, store } = newKeeper(t, { tokenSecrets: [{ kid: "a", secret: "s" }] });
  t.match(told, [
    { type: "access", settings: { secure: true, keysMayGrow: false, keys: [{ alg: "HS256", kid: "a" }] } },
  ]);
  t.equal(Buffer.from(keeper.sessionKey, "base64url").length, 32);
  t.equal(store.sessionKey(), keeper.sessionKey);
  t.notOk(told[0]!.settings.keys[0]!.fingerprint.includes("s="));
});

t.test("AccessKeeper.findKeys() follows a rotation, and looks no more often than twice a minute", async (t) => {
  const served = await serveKeys(t);
  const { keeper, clock, kids, told } = newKeeper(t, { jwksUrl: served.url });
  await keeper.open();
  t.match(await keeper.findKeys(), { retryAfterMs: 30_000 });
  t.same([kids(), served.asked], [["ES256 one"], 1]);
  served.keys = [newPair("two").jwk];
  for (let index = 0; index < 50; index++) await keeper.findKeys();
  t.equal(served.asked, 1);
  clock.now += 30_000;
  await Promise.all(Array.from({ length: 50 }, () => keeper.findKeys()));
  t.same([kids(), served.asked], [["ES256 two"], 2]);
  t.match(told.at(-1), { settings: { keys: [{ kid: "two" }] } });
});

t.test("AccessKeeper keeps the keys it has while the key set is away", async (t) => {
  const served = await serveKeys(t);
  const { keeper, clock, kids } = newKeeper(t, { jwksUrl: served.url });
  await keeper.open();
  await keeper.findKeys();
  served.status = 500;
  clock.now += 30_000;
  await keeper.findKeys();
  t.same([kids(), served.asked], [["ES256 one"], 2]);
});

t.test("AccessKeeper begins with the keys that a URL told the control before it", async (t) => {
  const served = await serveKeys(t);
  const { keeper, database } = newKeeper(t, { jwksUrl: served.url });
  await keeper.refresh();
  served.status = 500;
  const next = newKeeper(t, { jwksUrl: served.url }, database);
  t.match(
    next.told,
    [{ settings: { keys: [{ alg: "ES256", kid: "one" }] } }],
    "gateways hear of no moment without them",
  );
  await next.keeper.refresh();
  t.same(next.kids(), ["ES256 one"]);
  t.same(
    newKeeper(t, { jwksUrl: `${served.url}/other` }, database).kids(),
    [],
    "those of another URL are none of this one",
  );
  t.same(newKeeper(t, {}, database).kids(), []);
});

t.test("AccessKeeper.refresh() lets go of a key that is gone from its set", async (t) => {
  const served = await serveKeys(t);
  served.keys = [newPair("one").jwk, newPair("two").jwk];
  const { keeper, kids, database } = newKeeper(t, { jwksUrl: served.url });
  await keeper.refresh();
  t.same(kids(), ["ES256 one", "ES256 two"]);
  served.keys = served.keys.slice(1);
  await keeper.refresh();
  t.same(kids(), ["ES256 two"]);
  t.same(newKeeper(t, { jwksUrl: served.url }, database).kids(), ["ES256 two"], "nor does the next control know it");
});

t.test("AccessKeeper.reload() looks at the new key set while the old one does not answer", async (t) => {
  const [slow, served] = [await serveKeys(t), await serveKeys(t)];
  const asked = Promise.withResolvers<void>();
  slow.hold = asked.resolve;
  const { keeper, kids } = newKeeper(t, { jwksUrl: slow.url });
  const first = keeper.refresh();
  await asked.promise;
  await keeper.reload({ ...nothing, jwksUrl: served.url });
  await keeper.refresh();
  t.same(kids(), ["ES256 one"]);
  slow.release();
  await first;
  t.same(kids(), ["ES256 one"]);
  t.equal(served.asked, 1);
});

t.test("AccessKeeper.reload() takes a configuration whole, or not at all", async (t) => {
  const { keeper, kids, told } = newKeeper(t, { tokenSecrets: [{ kid: "a", secret: "s" }] });
  const bad = join(newDirectory(t), "keys.json");
  writeFileSync(bad, "{");
  await t.rejects(keeper.reload({ ...nothing, jwksFile: bad }), { name: "KeySetError" });
  t.same([kids(), told.length], [["HS256 a"], 1]);
  const before = keeper.message().settings.keys[0]!.fingerprint;
  await keeper.reload({ ...nothing, tokenSecrets: [{ kid: "a", secret: "other" }] });
  t.equal(told.length, 2);
  t.not(keeper.message().settings.keys[0]!.fingerprint, before, "another secret is another key");
});

t.test("AccessKeeper.restore() takes a revocation back", async (t) => {
  const { keeper, told } = newKeeper(t);
  const id = keeper.revoke({ kind: "jti", jti: "j", until: null });
  t.match(told.at(-1), { type: "revocation", revocation: { jti: "j" } });
  t.match(keeper.message(), { revocations: [{ jti: "j" }] });
  t.ok(keeper.restore(id));
  t.notOk(keeper.restore(id));
  t.match(told.at(-1), { type: "access", revocations: [] });
});

t.test("AccessKeeper forgets revocations that have no meaning any more", async (t) => {
  const { keeper, clock, store } = newKeeper(t);
  keeper.revoke({ kind: "jti", jti: "j", until: clock.now + 10 });
  clock.now += 11;
  t.same(keeper.message().revocations, []);
  store.prune(clock.now);
  t.same(store.revocations(0), []);
});
