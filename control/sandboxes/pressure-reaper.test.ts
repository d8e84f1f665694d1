import { setImmediate } from "node:timers/promises";
import t from "tap";
import { type Fixture, fixture, running } from "../testing/fixture.ts";
import { keepAlive } from "./keep-alive.ts";
import { reapPressure } from "./pressure-reaper.ts";
import type { Sandbox } from "./sandbox.ts";
import { stopSandbox } from "./stop-sandbox.ts";
import { wakeSandbox } from "./wake-sandbox.ts";

const gibibyte = 2 ** 30;
const minuteMs = 60_000;

/** Three sandboxes, the first one used longest ago, each of 3 GiB on a machine of 100. */
async function three(t: Parameters<typeof fixture>[0]) {
  const it = fixture(t);
  const sandboxes: Sandbox[] = [];
  for (let n = 0; n < 3; n++) {
    const sandbox = await running(it);
    it.engine.memory.set(sandbox.id, 3 * gibibyte);
    sandboxes.push(sandbox);
    it.clock.now += minuteMs;
  }
  const statuses = () => sandboxes.map(({ id }) => it.use.records.get(id)?.status);
  return { it, sandboxes: sandboxes as [Sandbox, Sandbox, Sandbox], statuses };
}

function available({ memory }: Fixture, gibibytes: number): void {
  memory.availableBytes = gibibytes * gibibyte;
}

t.test("reapPressure() stops the longest idle and records with which band", async (t) => {
  const { it, sandboxes, statuses } = await three(t);
  available(it, 16);
  await reapPressure(it.use);
  t.same(statuses(), ["running", "running", "running"]);
  available(it, 14);
  await reapPressure(it.use);
  t.same(statuses(), ["stopped", "running", "running"]);
  t.match(it.events.recent(sandboxes[0].id, 1), [
    { kind: "stop", cause: "pressure", outcome: "stopped", detail: "headroom: 14 % of memory available, longest_idle" },
  ]);
  t.match(await it.metrics.registry.metrics(), 'sandboxd_stops_for_memory_total{band="headroom"} 1');
});

t.test("reapPressure() spares what is open, promised or was used just now", async (t) => {
  const { it, sandboxes, statuses } = await three(t);
  const [open, kept] = sandboxes;
  const nothing = { lastNavigationAt: 0, openSockets: 0, requests: 1, bytesIn: 0, bytesOut: 0 };
  const report = { id: open.id, lastActiveAt: 0, openRequests: 1, ...nothing };
  it.use.ledger.take({ worker: "w", sequence: 1, sandboxes: [report] });
  it.use.workers.connect("w", () => {});
  keepAlive(it.use, kept.id, new Date(it.clock.now + minuteMs).toISOString());
  it.clock.now -= minuteMs - 1000;
  available(it, 6);
  await reapPressure(it.use);
  t.same(statuses(), ["running", "running", "running"]);
});

t.test("reapPressure() stops the heaviest in an emergency, used or not", async (t) => {
  const { it, sandboxes, statuses } = await three(t);
  const heavy = sandboxes[1];
  it.engine.memory.set(heavy.id, 20 * gibibyte);
  keepAlive(it.use, heavy.id, new Date(it.clock.now + minuteMs).toISOString());
  available(it, 4);
  await reapPressure(it.use);
  t.same(statuses(), ["running", "stopped", "running"]);
  t.match(it.events.recent(heavy.id, 1), [{ cause: "pressure", detail: /^emergency: 4 % .*heaviest$/ }]);
});

t.test("reapPressure() stops paused ones as well", async (t) => {
  const { it, sandboxes, statuses } = await three(t);
  await stopSandbox(it.use, sandboxes[0].id, { cause: "idle", mode: "pause", drain: "force" });
  await setImmediate();
  available(it, 14);
  await reapPressure(it.use);
  t.same(statuses(), ["stopped", "running", "running"]);
});

t.test("reapPressure() decides nothing idle while a worker is silent", async (t) => {
  const { it, statuses } = await three(t);
  it.use.workers.hear("silent");
  available(it, 9);
  await reapPressure(it.use);
  t.same(statuses(), ["running", "running", "running"]);
});

t.test("a stop for memory gives way to a wake", async (t) => {
  const { it, sandboxes, statuses } = await three(t);
  it.use.workers.connect("w", () => {});
  available(it, 14);
  const reaping = reapPressure(it.use);
  await new Promise<void>((resolve) => it.use.records.once("change", () => resolve()));
  const request = { cause: "request", class: "navigation" } as const;
  t.match(await wakeSandbox(it.use, sandboxes[0].id, request), { outcome: "ready" });
  await reaping;
  t.same(statuses(), ["running", "running", "running"]);
});

t.test("a wake that finds no room has one made, and is refused when there is none", async (t) => {
  const { it, sandboxes } = await three(t);
  const [asleep, idle] = sandboxes;
  const request = { cause: "request", class: "navigation" } as const;
  await stopSandbox(it.use, asleep.id, { cause: "operator", mode: "stop", drain: "force" });
  available(it, 10.5);
  it.use.records.on("change", (id, sandbox) => {
    if (id === idle.id && sandbox?.status === "stopped") available(it, 13.5);
  });
  t.match(await wakeSandbox(it.use, asleep.id, request), { outcome: "ready" });
  t.equal(it.use.records.get(idle.id)?.status, "stopped");
  available(it, 6);
  t.match(await wakeSandbox(it.use, idle.id, request), {
    outcome: "refused",
    refusal: { code: "low_memory", retryAfterSeconds: 30, memAvailablePercent: 6 },
  });
  t.match(it.use.records.get(idle.id), { status: "stopped", reason: { code: "low_memory" } });
  t.match(it.events.recent(idle.id, 1), [{ kind: "refuse", class: "navigation", outcome: "low_memory" }]);
});
