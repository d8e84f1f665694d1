import t, { type Test } from "tap";
import { type Fixture, fixture, reached, running } from "../testing/fixture.ts";
import { keepAlive } from "./keep-alive.ts";
import { patchSandbox } from "./patch-sandbox.ts";
import { Schedules } from "./schedules.ts";
import { stopSandbox } from "./stop-sandbox.ts";

const office = { timezone: "UTC", wake: ["0 9 * * *"], sleep: ["0 18 * * *"] };
const minuteMs = 60_000;

/** It is six in the morning of some day to come. */
function morning(t: Test): Fixture {
  const it = fixture(t);
  it.clock.now = Math.ceil(it.clock.now / 86_400_000) * 86_400_000 + 6 * 60 * minuteMs;
  return it;
}

function follow(t: Test, { use }: Fixture): Schedules {
  const schedules = new Schedules(use);
  t.teardown(() => schedules.close());
  return schedules;
}

/** Goes on to a time of the day. */
function goTo({ clock }: Fixture, hour: number, minute = 0): void {
  clock.now = Math.floor(clock.now / 86_400_000) * 86_400_000 + (hour * 60 + minute) * minuteMs;
}

async function turnAt(it: Fixture, schedules: Schedules, hour: number, minute = 0): Promise<void> {
  goTo(it, hour, minute);
  await schedules.turn();
}

const asleep = { cause: "operator", mode: "stop", drain: "force" } as const;

t.test("turn() wakes at the time to wake and keeps awake until the time to sleep", async (t) => {
  const it = morning(t);
  const { id } = await running(it, { schedule: office });
  await stopSandbox(it.use, id, asleep);
  const schedules = follow(t, it);
  await turnAt(it, schedules, 8, 59);
  t.equal(it.use.records.get(id)?.status, "stopped");
  await turnAt(it, schedules, 9);
  const woken = await reached(it, id, "running");
  t.equal(new Date(woken.leaseUntil!).getUTCHours(), 18);
  await turnAt(it, schedules, 17, 59);
  t.equal(it.use.records.get(id)?.status, "running");
  await turnAt(it, schedules, 18);
  await reached(it, id, "stopped");
  t.match(
    it.events.recent(id, 20).filter(({ kind, outcome }) => outcome !== undefined && kind !== "change"),
    [
      { kind: "stop", cause: "schedule", outcome: "stopped" },
      { kind: "wake", cause: "schedule", outcome: "ready" },
      { kind: "stop", cause: "operator" },
    ],
  );
});

t.test("turn() puts what is always on to sleep, and keeps a promise", async (t) => {
  const it = morning(t);
  const always = await running(it, { schedule: office, idlePolicy: "always_on" });
  const kept = await running(it, { schedule: office });
  const schedules = follow(t, it);
  await turnAt(it, schedules, 17);
  keepAlive(it.use, kept.id, new Date(it.clock.now + 120 * minuteMs).toISOString());
  await turnAt(it, schedules, 18);
  await reached(it, always.id, "stopped");
  t.equal(it.use.records.get(kept.id)?.status, "running");
});

t.test("turn() makes up for what was due while control was away, once", async (t) => {
  const it = morning(t);
  const [missed, woken] = [await running(it, { schedule: office }), await running(it, { schedule: office })];
  goTo(it, 18, 10);
  // Somebody woke this one after the time to sleep.
  it.use.records.change(woken.id, {}, { kind: "change", cause: "operator" });
  await turnAt(it, follow(t, it), 18, 30);
  await reached(it, missed.id, "stopped");
  t.equal(it.use.records.get(woken.id)?.status, "running");
  const late = await running(it, { schedule: office });
  await turnAt(it, follow(t, it), 23);
  t.equal(it.use.records.get(late.id)?.status, "running", "it is too long ago");
});

t.test("turn() follows a schedule from when it is set, and forgets one that is taken back", async (t) => {
  const it = morning(t);
  const { id } = await running(it);
  const schedules = follow(t, it);
  await turnAt(it, schedules, 19);
  await patchSandbox(it.use, id, () => ({ schedule: office }), {});
  await turnAt(it, schedules, 20);
  t.equal(it.use.records.get(id)?.status, "running", "the time to sleep was before it");
  await patchSandbox(it.use, id, () => ({ schedule: null }), {});
  it.clock.now += 86_400_000;
  await turnAt(it, schedules, 18);
  t.equal(it.use.records.get(id)?.status, "running");
});
