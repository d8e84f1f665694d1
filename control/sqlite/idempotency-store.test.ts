import t, { type Test } from "tap";
import { newSandboxId } from "../sandboxes/create-sandbox.ts";
import { Database } from "./database.ts";
import { IdempotencyStore, idempotencyLifetimeMs } from "./idempotency-store.ts";

function setUp(t: Test) {
  const database = new Database(":memory:", () => {});
  t.teardown(() => database.close());
  return new IdempotencyStore(database);
}

const id = newSandboxId();

t.test("begin() and finish() keep the first answer, by caller", async (t) => {
  const store = setUp(t);
  store.begin("ada", "k", "hash", id, 1000);
  t.same(store.get("ada", "k", 1000), { requestHash: "hash", sandboxId: id, answer: null });
  store.finish("ada", "k", { status: 201, body: "{}" });
  t.match(store.get("ada", "k", 1000), { answer: { status: 201, body: "{}" } });
  t.equal(store.get("eve", "k", 1000), undefined);
});

t.test("get() knows a key for 24 hours", async (t) => {
  const store = setUp(t);
  store.begin("ada", "k", "hash", id, 1000);
  t.ok(store.get("ada", "k", 1000 + idempotencyLifetimeMs - 1));
  t.equal(store.get("ada", "k", 1000 + idempotencyLifetimeMs), undefined);
  store.begin("ada", "k", "another", id, 1000 + idempotencyLifetimeMs);
  t.match(store.get("ada", "k", 1000 + idempotencyLifetimeMs), { requestHash: "another" });
});

t.test("forget() and prune() let go of keys", async (t) => {
  const store = setUp(t);
  store.begin("ada", "a", "hash", id, 1000);
  store.begin("ada", "b", "hash", id, 1000);
  store.forget("ada", "a");
  t.equal(store.get("ada", "a", 1000), undefined);
  t.equal(store.prune(1000 + idempotencyLifetimeMs), 1);
});
