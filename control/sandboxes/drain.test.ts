import { setImmediate } from "node:timers/promises";
import t, { type Test } from "tap";
import { newSandboxId } from "./create-sandbox.ts";
import { Drain, Drains } from "./drain.ts";
import { GatewayWorkers } from "./gateway-workers.ts";

const id = newSandboxId();
const nothingOpen = { id, generation: 5, openRequests: 0, openSockets: 0, keepsAwake: 0, lastActiveAt: 0 };
const idle = { kind: "idle", isActive: (lastActiveAt: number) => lastActiveAt > 1000 } as const;
const asked = { kind: "asked", milliseconds: 60_000 } as const;

async function isWaiting(drain: Drain): Promise<boolean> {
  await setImmediate();
  return (await Promise.race([drain.verdict, "waiting"])) === "waiting";
}

function workersOf(t: Test, names: readonly string[], leaseMs = 60_000) {
  const workers = new GatewayWorkers({ ids: () => [], add() {}, remove() {} }, { leaseMs });
  t.teardown(() => workers.close());
  const leave = names.map((name) => workers.connect(name, () => {}));
  return { workers, leave };
}

t.test("Drain is clear at once when no gateway is there", async (t) => {
  t.equal(await new Drain(id, 5, idle, workersOf(t, []).workers).verdict, "clear");
  t.equal(await new Drain(id, 5, asked, workersOf(t, []).workers).verdict, "clear");
});

t.test("Drain waits for every worker", async (t) => {
  const drain = new Drain(id, 5, idle, workersOf(t, ["a", "b"]).workers);
  drain.acknowledge({ ...nothingOpen, worker: "a" });
  t.ok(await isWaiting(drain));
  drain.acknowledge({ ...nothingOpen, worker: "b" });
  t.equal(await drain.verdict, "clear");
});

t.test("Drain of an idle stop is cancelled by what keeps the sandbox awake", async (t) => {
  const drain = new Drain(id, 5, idle, workersOf(t, ["a", "b"]).workers);
  drain.acknowledge({ ...nothingOpen, worker: "a", openRequests: 1, keepsAwake: 1 });
  t.equal(await drain.verdict, "cancelled");
});

t.test("Drain of an idle stop is cancelled by activity newer than the decision", async (t) => {
  const drain = new Drain(id, 5, idle, workersOf(t, ["a"]).workers);
  drain.acknowledge({ ...nothingOpen, worker: "a", lastActiveAt: 1001 });
  t.equal(await drain.verdict, "cancelled");
});

t.test("Drain of an idle stop goes on over an open hot-reload socket", async (t) => {
  const drain = new Drain(id, 5, idle, workersOf(t, ["a"]).workers);
  drain.acknowledge({ ...nothingOpen, worker: "a", openSockets: 1 });
  t.equal(await drain.verdict, "clear");
});

t.test("Drain of an idle stop is cancelled when a worker does not answer within its lease", async (t) => {
  const { workers } = workersOf(t, [], 20);
  let cut = false;
  workers.connect("hung", () => {
    cut = true;
  });
  t.equal(await new Drain(id, 5, idle, workers).verdict, "cancelled");
  t.ok(cut, "its stream was ended");
});

t.test("Drain of an idle stop is cancelled when a worker is gone without an answer", async (t) => {
  const { workers, leave } = workersOf(t, ["a"], 20);
  const drain = new Drain(id, 5, idle, workers);
  leave[0]!();
  t.equal(await drain.verdict, "cancelled");
});

t.test("Drain that was asked for waits until nothing is open", async (t) => {
  const drain = new Drain(id, 5, asked, workersOf(t, ["a"]).workers);
  drain.acknowledge({ ...nothingOpen, worker: "a", openRequests: 2, openSockets: 1, keepsAwake: 3 });
  t.ok(await isWaiting(drain));
  t.notOk(drain.giveWay());
  drain.acknowledge({ ...nothingOpen, worker: "a" });
  t.equal(await drain.verdict, "clear");
});

t.test("Drain that was asked for ends with its time", async (t) => {
  const drain = new Drain(id, 5, { kind: "asked", milliseconds: 10 }, workersOf(t, ["a"]).workers);
  drain.acknowledge({ ...nothingOpen, worker: "a", openSockets: 1 });
  t.equal(await drain.verdict, "time-up");
});

t.test("Drain that was asked for forgets a worker whose lease ended", async (t) => {
  const { workers, leave } = workersOf(t, ["a"], 20);
  const drain = new Drain(id, 5, asked, workers);
  drain.acknowledge({ ...nothingOpen, worker: "a", openRequests: 1 });
  leave[0]!();
  t.equal(await drain.verdict, "clear");
});

t.test("Drain at the end of control waits only for workers that can hear of it", async (t) => {
  const { workers, leave } = workersOf(t, ["a", "b"]);
  leave[0]!();
  const drain = new Drain(id, 5, { ...asked, shutdown: true }, workers);
  t.ok(await isWaiting(drain));
  leave[1]!();
  t.equal(await drain.verdict, "clear");
});

t.test("acknowledge() ignores an earlier drain's report and takes that of a later change", async (t) => {
  const drain = new Drain(id, 5, idle, workersOf(t, ["a"]).workers);
  drain.acknowledge({ ...nothingOpen, worker: "a", generation: 4 });
  t.ok(await isWaiting(drain));
  drain.acknowledge({ ...nothingOpen, worker: "a", generation: 6 });
  t.equal(await drain.verdict, "clear");
});

t.test("giveWay() cancels an idle stop, hurry() ends any", async (t) => {
  const { workers } = workersOf(t, ["a"]);
  const first = new Drain(id, 5, idle, workers);
  t.ok(first.giveWay());
  t.equal(await first.verdict, "cancelled");
  const second = new Drain(id, 5, asked, workers);
  second.hurry();
  t.equal(await second.verdict, "time-up");
});

t.test("Drains passes reports to their sandbox and forgets a drain that ended", async (t) => {
  const drains = new Drains(workersOf(t, ["a"]).workers);
  const verdict = drains.run(id, 5, idle);
  drains.acknowledge({ ...nothingOpen, id: newSandboxId(), worker: "a", keepsAwake: 1 });
  drains.acknowledge({ ...nothingOpen, worker: "a" });
  t.equal(await verdict, "clear");
  t.equal(drains.get(id), undefined);
});
