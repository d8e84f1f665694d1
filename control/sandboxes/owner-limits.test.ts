import { setImmediate } from "node:timers/promises";
import t, { type Test } from "tap";
import { fixture, policy, running } from "../testing/fixture.ts";
import { claimSandbox } from "./claim-sandbox.ts";
import { createSandbox, newSandboxId } from "./create-sandbox.ts";
import type { OwnerRules } from "./owner-limits.ts";
import { patchSandbox } from "./patch-sandbox.ts";
import { removeSandbox } from "./remove-sandbox.ts";
import { stopSandbox } from "./stop-sandbox.ts";
import { wakeSandbox } from "./wake-sandbox.ts";

const none = { sandboxes: null, running: null, memoryBytes: null };
const of = (userId: string | null, more: object = {}) => ({
  ...policy,
  ...more,
  external: { ...policy.external, userId },
});

function limited(t: Test, rules: Partial<OwnerRules>) {
  const it = fixture(t, { config: { ownerRules: { ...none, ...rules } } });
  const create = (userId: string | null, more: object = {}) =>
    createSandbox(it.use, newSandboxId(), of(userId, more), { keepFailed: false });
  const stop = (id: ReturnType<typeof newSandboxId>, mode: "stop" | "pause") =>
    stopSandbox(it.use, id, { cause: "operator", mode, drain: "force" });
  const wake = (id: ReturnType<typeof newSandboxId>) => wakeSandbox(it.use, id, { cause: "operator" });
  return { it, create, stop, wake };
}

const outcomes = (settled: readonly PromiseSettledResult<unknown>[]) =>
  settled.map((each) => (each.status === "fulfilled" ? "made" : (each.reason as { code: string }).code)).sort();

t.test("OwnerLimits let no more creates through than there is room for, however many come at once", async (t) => {
  const { it, create } = limited(t, { sandboxes: 3 });
  const attempts = await Promise.allSettled(Array.from({ length: 10 }, () => create("ada")));
  t.same(outcomes(attempts), [...Array<string>(7).fill("forbidden"), ...Array<string>(3).fill("made")]);
  t.equal(it.use.limits.useOf("ada").sandboxes, 3);
  await create("eve");
  for (let n = 0; n < 5; n++) await create(null);
  const [first] = it.use.store.list({ externalUserId: "ada", limit: 1 });
  await setImmediate();
  await removeSandbox(it.use, first!.id, "keep");
  await create("ada");
});

t.test("OwnerLimits bound what is awake, for creates and for wakes at once", async (t) => {
  const { it, create, stop, wake } = limited(t, { running: 2 });
  const owned = { external: of("ada").external };
  const asleep = [];
  for (let n = 0; n < 5; n++) {
    const { id } = await running(it, owned);
    await stop(id, n % 2 === 0 ? "stop" : "pause");
    asleep.push(id);
  }
  const [creates, wakes] = await Promise.all([
    Promise.allSettled([create("ada"), create("ada")]),
    Promise.all(asleep.map(wake)),
  ]);
  const woken = wakes.filter(({ outcome }) => outcome === "ready").length;
  const made = outcomes(creates).filter((outcome) => outcome === "made").length;
  t.equal(woken + made, 2);
  const refusal = { code: "too_many_requests", retryAfterSeconds: Number };
  for (const wake of wakes) if (wake.outcome !== "ready") t.match(wake, { outcome: "refused", refusal });
  t.same(
    [...new Set(outcomes(creates))].sort(),
    made === 2 ? ["made"] : made === 0 ? ["too_many_requests"] : ["made", "too_many_requests"],
  );
  await Promise.all(it.use.store.withStatus("running").map(({ id }) => stop(id, "stop")));
  t.match(await wake(asleep[0]!), { outcome: "ready" });
  t.match(await wake(asleep[0]!), { outcome: "ready", wasRunning: true });
});

t.test("OwnerLimits count the memory of what is awake or paused", async (t) => {
  const { it, create, stop, wake } = limited(t, { memoryBytes: 4 * 2 ** 30 });
  const owned = { external: of("ada").external, memoryMax: "2G" };
  const [one, two] = [await running(it, owned), await running(it, owned)];
  await t.rejects(create("ada", { memoryMax: "1" }), { code: "too_many_requests" });
  await stop(one.id, "pause");
  await t.rejects(create("ada", { memoryMax: "1" }), { code: "too_many_requests" });
  t.match(await wake(one.id), { outcome: "ready" }, "its own memory is no reason against it");
  await stop(two.id, "stop");
  t.same(it.use.limits.useOf("ada"), { sandboxes: 2, running: 1, memoryBytes: 2 * 2 ** 30 });
  await (await create("ada", { memoryMax: "2G" })).running;
  t.match(await wake(two.id), { outcome: "refused", refusal: { code: "too_many_requests" } });
  t.match(it.use.records.get(two.id), { status: "stopped", reason: null });
});

t.test("OwnerLimits hold for whoever gets a sandbox by a change or a claim", async (t) => {
  const { it } = limited(t, { sandboxes: 1 });
  const external = (userId: string) => of(userId).external;
  await running(it, { external: external("ada") });
  const { id } = await running(it, { external: external("eve") });
  await t.rejects(
    patchSandbox(it.use, id, () => ({ external: external("ada") }), {}),
    { code: "forbidden" },
  );
  await t.rejects(claimSandbox(it.use, id, external("ada")), { code: "forbidden" });
  await claimSandbox(it.use, id, external("eve"));
  await claimSandbox(it.use, id, external("bob"));
  t.match(it.use.records.get(id), { external: { userId: "bob" } });
});
