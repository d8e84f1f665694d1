import t from "tap";
import { fixture, running } from "../testing/fixture.ts";
import { explain } from "./explain.ts";
import { keepAlive } from "./keep-alive.ts";
import { stopSandbox } from "./stop-sandbox.ts";
import { wakeSandbox } from "./wake-sandbox.ts";

t.test("explain() says why a sandbox is awake and when it will stop", async (t) => {
  const it = fixture(t);
  const { id } = await running(it);
  const lastActiveAt = it.clock.now + 1000;
  const counts = { openRequests: 1, openSockets: 0, requests: 1, bytesIn: 0, bytesOut: 0 };
  const activity = { id, lastActiveAt, lastNavigationAt: lastActiveAt, lastClass: "navigation", ...counts } as const;
  it.use.ledger.take({ worker: "w", sequence: 1, sandboxes: [activity] });
  const told = explain(it.use, it.events, it.use.records.get(id)!);
  t.match(told, {
    status: "running",
    last_navigation_at: new Date(lastActiveAt).toISOString(),
    next_stop_because: "unattended",
  });
  t.same(
    told.awake_because.map(({ cause }) => cause),
    ["open", "active"],
  );
  t.match(told.recent[0], { kind: "extend", class: "navigation" });
});

t.test("explain() tells stops, wakes and refusals, the newest first", async (t) => {
  const it = fixture(t);
  const { id } = await running(it);
  it.clock.now += 1000;
  await stopSandbox(it.use, id, { cause: "operator", mode: "stop", drain: "force" });
  it.clock.now += 1000;
  await wakeSandbox(it.use, id, { cause: "request", class: "api" });
  it.clock.now += 1000;
  await stopSandbox(it.use, id, { cause: "idle", mode: "stop", drain: "force" });
  const told = explain(it.use, it.events, it.use.records.get(id)!);
  t.match(told, { status: "stopped", awake_because: [], next_stop_at: null, next_stop_because: null });
  t.same(
    told.recent.map(({ kind, cause, outcome }) => [kind, cause, outcome]),
    [
      ["stop", "idle", "stopped"],
      ["wake", "request", "ready"],
      ["stop", "operator", "stopped"],
    ],
  );
});

t.test("explain() says why a sandbox sleeps: who stopped it, or how it ended", async (t) => {
  const it = fixture(t);
  const [stopped, ended] = [await running(it), await running(it)];
  const detail = "emergency: 4 % of memory available";
  await stopSandbox(it.use, stopped.id, { cause: "pressure", mode: "stop", drain: "force", detail });
  const told = (id: typeof stopped.id) => explain(it.use, it.events, it.use.records.get(id)!);
  t.match(told(stopped.id).asleep_because, { cause: "pressure", since: /Z$/, detail });
  const reason = { code: "exited", message: "The command ended with code 7" } as const;
  it.use.records.change(ended.id, { status: "stopped", reason }, { kind: "stop", cause: "exited", outcome: "stopped" });
  t.match(told(ended.id).asleep_because, { cause: "exited", detail: "The command ended with code 7" });
  t.equal(told((await running(it)).id).asleep_because, null);
});

t.test("explain() says when a schedule or the end of a pause stops it", async (t) => {
  const it = fixture(t);
  const schedule = { timezone: "UTC", wake: [], sleep: ["* * * * *"] };
  const scheduled = await running(it, { schedule, idlePolicy: "always_on" });
  const next = new Date((Math.floor(it.clock.now / 60_000) + 1) * 60_000).toISOString();
  const told = (id: typeof scheduled.id) => explain(it.use, it.events, it.use.records.get(id)!);
  t.match(told(scheduled.id), { next_stop_at: next, next_stop_because: "schedule" });
  keepAlive(it.use, scheduled.id, new Date(it.clock.now + 3_600_000).toISOString());
  t.match(told(scheduled.id), { next_stop_at: null, recent: [{ kind: "extend", cause: "keepalive", outcome: null }] });
  const auto = await running(it, { sleepMode: "auto", idleSeconds: 60 });
  await stopSandbox(it.use, auto.id, { cause: "idle", mode: "pause", drain: "force" });
  const end = new Date(it.clock.now + 60_000).toISOString();
  t.match(told(auto.id), { asleep_because: { cause: "idle" }, next_stop_at: end, next_stop_because: "idle" });
});
