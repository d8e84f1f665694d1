import t, { type Test } from "tap";
import { ApiError } from "../api-error.ts";
import { newSandboxId } from "../sandboxes/create-sandbox.ts";
import { Database } from "../sqlite/database.ts";
import { IdempotencyStore } from "../sqlite/idempotency-store.ts";
import { appBody, startControl } from "../testing/control.ts";
import { Idempotency } from "./idempotency.ts";

const call = { caller: "ada", key: "k", request: { a: 1, b: [{ c: 2, d: 3 }] }, url: "/v1/sandboxes" };
const answer = { status: 201, body: "{}" };

function setUp(t: Test) {
  const database = new Database(":memory:", () => {});
  t.teardown(() => database.close());
  const store = new IdempotencyStore(database);
  return { store, idempotency: new Idempotency(store, () => 1000) };
}

t.test("run() acts once for calls at the same time and for later ones", async (t) => {
  const { idempotency } = setUp(t);
  let acts = 0;
  const act = async () => {
    acts++;
    return { status: 201, body: String(acts) };
  };
  const answers = await Promise.all([1, 2, 3].map(() => idempotency.run(call, newSandboxId, act)));
  answers.push(await idempotency.run({ ...call, request: { b: [{ d: 3, c: 2 }], a: 1 } }, newSandboxId, act));
  t.same(
    answers.map(({ body }) => body),
    ["1", "1", "1", "1"],
  );
});

t.test("run() keeps a token named operator apart from the operator", async (t) => {
  const control = await startControl(t, { SANDBOXD_API_TOKENS: "operator:s3cret" });
  const create = { body: appBody, headers: { "idempotency-key": "same" } };
  const edge = { host: "api.preview.localhost", authorization: "Bearer s3cret" };
  const own = await control.call("POST", "/v1/sandboxes", create);
  const others = await control.callSocket("POST", "/v1/sandboxes", {
    ...create,
    headers: { ...create.headers, ...edge },
  });
  t.same([own.status, others.status], [201, 201]);
  t.not(own.body.id, others.body.id);
});

t.test("run() keeps callers apart", async (t) => {
  const { idempotency } = setUp(t);
  await idempotency.run(call, newSandboxId, async () => answer);
  const eve = await idempotency.run({ ...call, caller: "eve", request: {} }, newSandboxId, async () => ({
    ...answer,
    body: "eve",
  }));
  t.equal(eve.body, "eve");
});

t.test("run() refuses another request under the same key", async (t) => {
  const { idempotency } = setUp(t);
  await idempotency.run(call, newSandboxId, async () => answer);
  const other = { ...call, request: { a: 2 } };
  await t.rejects(
    idempotency.run(other, newSandboxId, async () => answer),
    { code: "idempotency_conflict" },
  );
});

t.test("run() keeps a refusal, and forgets what may go better", async (t) => {
  const { idempotency } = setUp(t);
  const refuse = (error: unknown) => async () => {
    throw error;
  };
  await t.rejects(idempotency.run(call, newSandboxId, refuse(new ApiError("exited", "It ended"))), { code: "exited" });
  t.match(await idempotency.run(call, newSandboxId, async () => answer), { status: 422, body: /It ended/ });
  const again = { ...call, key: "another" };
  await t.rejects(idempotency.run(again, newSandboxId, refuse(new ApiError("engine_unavailable", "away"))));
  t.same(await idempotency.run(again, newSandboxId, async () => answer), answer);
  const bug = { ...call, key: "bug" };
  await t.rejects(idempotency.run(bug, newSandboxId, refuse(new TypeError("x"))));
  t.same(await idempotency.run(bug, newSandboxId, async () => answer), answer);
});

t.test("run() gives a call that was cut off its id back", async (t) => {
  const { store, idempotency } = setUp(t);
  const ids: string[] = [];
  const never = new Promise<never>(() => {});
  void idempotency.run(call, newSandboxId, (id) => {
    ids.push(id);
    return never;
  });
  const afterCrash = new Idempotency(store, () => 1000);
  await afterCrash.run(call, newSandboxId, async (id, attempted) => {
    ids.push(id);
    t.ok(attempted);
    return answer;
  });
  t.equal(ids[0], ids[1]);
});

t.test("run() bounds the key", async (t) => {
  const { idempotency } = setUp(t);
  for (const key of ["", "x".repeat(256)]) {
    t.throws(() => idempotency.run({ ...call, key }, newSandboxId, async () => answer), { code: "invalid_request" });
  }
});
