import t from "tap";
import { fixture, running } from "../testing/fixture.ts";
import { explain } from "./explain.ts";
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
