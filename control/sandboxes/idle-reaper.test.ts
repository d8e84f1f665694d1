import { setImmediate } from "node:timers/promises";
import t from "tap";
import { EngineError } from "../engines/sandbox-engine.ts";
import { fixture, reached, running } from "../testing/fixture.ts";
import { reapIdle } from "./idle-reaper.ts";

const hourMs = 3_600_000;

t.test("reapIdle() stops what nobody uses and nothing else", async (t) => {
  const it = fixture(t);
  const idle = await running(it);
  const kept = await running(it, { idlePolicy: "always_on" });
  const patient = await running(it, { idleSeconds: 7200 });
  it.clock.now += hourMs;
  await reapIdle(it.use);
  t.match(it.use.records.get(idle.id), { status: "stopped", reason: null });
  t.match(it.use.records.get(kept.id), { status: "running" });
  t.match(it.use.records.get(patient.id), { status: "running" });
  t.match(it.events.recent(idle.id, 1), [{ kind: "stop", cause: "idle", outcome: "stopped" }]);
});

t.test("reapIdle() pauses what sleeps by pausing", async (t) => {
  const it = fixture(t);
  const { id } = await running(it, { sleepMode: "pause" });
  it.clock.now += hourMs;
  await reapIdle(it.use);
  t.match(it.use.records.get(id), { status: "paused" });
});

t.test("reapIdle() gives way to a request that came before the fence", async (t) => {
  const it = fixture(t);
  const { id } = await running(it);
  it.use.workers.connect("w", () => {});
  it.clock.now += hourMs;
  const reaping = reapIdle(it.use);
  const { generation } = await reached(it, id, "draining");
  const lastActiveAt = it.clock.now - 1000;
  it.use.drains.acknowledge({
    worker: "w",
    id,
    generation,
    openRequests: 0,
    openSockets: 0,
    keepsAwake: 0,
    lastActiveAt,
  });
  await reaping;
  t.match(it.use.records.get(id), { status: "running" });
});

t.test("reapIdle() does not take a cancelled stop for a use of the sandbox", async (t) => {
  const it = fixture(t);
  const { id, awakeSince } = await running(it);
  it.use.workers.connect("w", () => {});
  it.clock.now += hourMs;
  const reaping = reapIdle(it.use);
  await reached(it, id, "draining");
  it.use.drains.get(id)?.giveWay();
  await reaping;
  t.match(it.use.records.get(id), { status: "running", awakeSince });
});

t.test("reapIdle() decides nothing while a worker is silent", async (t) => {
  const it = fixture(t);
  const { id, generation } = await running(it);
  it.use.workers.connect("w", () => {})();
  it.clock.now += hourMs;
  await reapIdle(it.use);
  t.match(it.use.records.get(id), { status: "running", generation }, "not even a drain was tried");
});

t.test("reapIdle() waits for workers to come back before it judges what was awake before control", async (t) => {
  const it = fixture(t);
  const { id } = await running(it);
  const before = it.use.workers.knownFrom - it.use.workers.leaseMs - 1;
  it.use.store.put({ ...it.use.records.get(id)!, awakeSince: before - hourMs, lastActiveAt: before - hourMs });
  it.clock.now = it.use.workers.knownFrom - 1;
  await reapIdle(it.use);
  t.match(it.use.records.get(id), { status: "running" });
  it.clock.now = it.use.workers.knownFrom;
  await reapIdle(it.use);
  t.match(it.use.records.get(id), { status: "stopped" });
});

t.test("reapIdle() stops what is used but unattended, whatever is open", async (t) => {
  const it = fixture(t, { config: { maxUnattendedSeconds: 60 } });
  const { id } = await running(it);
  it.use.workers.connect("w", () => {});
  const counts = { openRequests: 0, openSockets: 1, requests: 1, bytesIn: 0, bytesOut: 0 };
  it.clock.now += 61_000;
  const activity = { id, lastActiveAt: it.clock.now, lastNavigationAt: 0, ...counts };
  it.use.ledger.take({ worker: "w", sequence: 1, sandboxes: [activity] });
  const reaping = reapIdle(it.use);
  const { generation } = await reached(it, id, "draining");
  it.use.drains.acknowledge({
    worker: "w",
    id,
    generation,
    openRequests: 0,
    openSockets: 0,
    keepsAwake: 0,
    lastActiveAt: it.clock.now,
  });
  await reaping;
  t.match(it.use.records.get(id), { status: "stopped" });
  t.match(it.events.recent(id, 1), [{ cause: "unattended" }]);
});

t.test("reapIdle() pauses what shall be paused, and stops it where the engine cannot", async (t) => {
  const it = fixture(t);
  const ids = [await running(it, { sleepMode: "pause" }), await running(it, { sleepMode: "auto" })].map(({ id }) => id);
  it.clock.now += hourMs;
  await reapIdle(it.use);
  t.same(
    ids.map((id) => it.use.records.get(id)?.status),
    ["paused", "paused"],
  );
  it.engine.canPause = false;
  const other = await running(it, { sleepMode: "auto" });
  it.clock.now += hourMs;
  await reapIdle(it.use);
  t.equal(it.use.records.get(other.id)?.status, "stopped");
});

t.test("reapIdle() stops with auto what nobody came back to, and leaves other pauses alone", async (t) => {
  const it = fixture(t);
  const paused = await running(it, { sleepMode: "pause" });
  const auto = await running(it, { sleepMode: "auto", idleSeconds: 60 });
  it.clock.now += hourMs;
  await reapIdle(it.use);
  await setImmediate();
  it.clock.now += 59_000;
  await reapIdle(it.use);
  t.equal(it.use.records.get(auto.id)?.status, "paused");
  it.clock.now += 1_000;
  await reapIdle(it.use);
  t.equal(it.use.records.get(auto.id)?.status, "stopped");
  t.match(it.events.recent(auto.id, 1), [{ kind: "stop", cause: "idle", outcome: "stopped" }]);
  t.equal(it.use.records.get(paused.id)?.status, "paused");
});

t.test("a pause has its memory taken back, and goes on without it when that fails", async (t) => {
  const it = fixture(t);
  const { id } = await running(it, { sleepMode: "pause" });
  it.engine.failNext("reclaim", new EngineError("unsupported", "no"));
  it.clock.now += hourMs;
  await reapIdle(it.use);
  await setImmediate();
  t.ok(it.engine.calls.includes("reclaim"));
  t.equal(it.use.records.get(id)?.status, "paused");
});
