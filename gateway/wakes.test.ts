import { once } from "node:events";
import { pino } from "pino";
import t, { type Test } from "tap";
import type { Route, WakeOutcome } from "#contract/gateway-api.ts";
import { startControl } from "./hazards/test-control.ts";
import { eventually, freePort, routeTo, startApp } from "./hazards/test-gateway.ts";
import { sandboxId } from "./hazards/test-request.ts";
import type { PortWait } from "./port-wait.ts";
import { RoutingTable } from "./routing-table.ts";
import { dialPauseMs, Wakes } from "./wakes.ts";

async function open(t: Test, port: number, more: Partial<Route> = {}) {
  const { control, client } = await startControl(t);
  const table = new RoutingTable();
  const wakes = new Wakes({ table, control: client, connectTimeoutMs: 1_000, logger: pino({ level: "silent" }) });
  let generation = 1;
  const route = (change: Partial<Route> = {}) =>
    routeTo(sandboxId, port, { generation: ++generation, ...more, ...change });
  const become = (change: Partial<Route> = {}) => {
    const next = route(change);
    table.apply({ type: "change", revision: generation, route: next });
    return next;
  };
  const wake = Promise.withResolvers<WakeOutcome>();
  control.wake = () => wake.promise;
  const waits: PortWait[] = [];
  const join = (options = {}) => {
    const wait = wakes.join(sandboxId, 3000, "api", options);
    waits.push(wait);
    return wait;
  };
  t.teardown(() => {
    for (const wait of waits) while (wait.participants > 0) wait.leave();
  });
  return { control, table, wakes, route, become, wake, join };
}

const asleep = { status: "stopped", endpoints: [] } as const;

t.test("Wakes.join() is ready when the port of a running sandbox answers", async (t) => {
  const { control, wakes, become, join } = await open(t, await startApp(t, () => {}));
  const route = become();
  t.equal(wakes.isReachable(route, 3000), false, "nothing is known of it yet");
  t.match(await join().outcome, { kind: "ready", route });
  t.equal(wakes.isReachable(route, 3000), true);
  t.equal(wakes.isReachable(route, 4000), false, "of this port alone");
  t.strictSame(control.calls, []);
});

t.test("Wakes.isReachable() holds for one run, and until it is forgotten", async (t) => {
  const { wakes, become, join } = await open(t, await startApp(t, () => {}));
  become();
  await join().outcome;
  t.equal(wakes.isReachable(become({ visibility: "private" }), 3000), true, "a change that is no new run");
  t.equal(wakes.isReachable(become({ status: "draining" }), 3000), false);
  t.equal(wakes.isReachable(become(), 3000), true, "a stop that was called off");
  wakes.forget(sandboxId, 3000);
  t.equal(wakes.isReachable(become(), 3000), false);
  await join().outcome;
  t.equal(wakes.isReachable(become(), 3000), true);
  t.equal(wakes.isReachable(become({ run: 2 }), 3000), false);
});

t.test("Wakes.join() wakes a sleeping sandbox once for all who take part", async (t) => {
  const { control, become, route, wake, join } = await open(t, await startApp(t, () => {}));
  become(asleep);
  const waits = [join(), join(), join()];
  t.equal(new Set(waits).size, 1, "they share one wait");
  await once(control.called, "wake");
  t.equal(waits[0]!.phase, "starting");
  const running = route();
  wake.resolve({ outcome: "ready", route: running });
  t.match(await waits[0]!.outcome, { kind: "ready", route: running });
  t.equal(control.wakes.length, 1);
});

t.test("dialPauseMs() adds little to any start, and looks seldom at what does not come", async (t) => {
  for (const ageMs of [100, 300, 1_000, 3_000, 60_000])
    t.ok(dialPauseMs(ageMs) <= Math.max(5, ageMs * 0.03), `${ageMs}`);
  t.equal(dialPauseMs(0), 2);
  t.equal(dialPauseMs(60_000), 100);
  let looks = 0;
  for (let ageMs = 0; ageMs < 1_000; ageMs += dialPauseMs(ageMs)) looks++;
  t.ok(looks < 150, `${looks} looks in the first second`);
});

t.test("Wakes tells when the app of a run first answered, if somebody saw that begin", async (t) => {
  const { wakes, become, route, wake, join } = await open(t, await startApp(t, () => {}));
  const told: unknown[] = [];
  wakes.on("answered", (...what) => told.push(what));
  become(asleep);
  const wait = join();
  wake.resolve({ outcome: "ready", route: route({ run: 2 }) });
  await wait.outcome;
  t.match(told, [[sandboxId, { run: 2, at: Number }]]);
  become({ run: 3 });
  await join().outcome;
  t.equal(told.length, 1, "nobody knows since when that one answers");
});

t.test("Wakes tells when an app first answered whose connections were refused before", async (t) => {
  const port = await freePort();
  const { wakes, become, join } = await open(t, port);
  const told = once(wakes, "answered");
  become();
  const wait = join();
  await eventually(() => wait.phase === "waiting_for_port", "it is dialled");
  await startApp(t, () => {}, port);
  t.match(await told, [sandboxId, { run: 1 }]);
});

t.test("Wakes.join() tells the phases", async (t) => {
  const port = await freePort();
  const { become, route, wake, join } = await open(t, port);
  become(asleep);
  const wait = join();
  const phases: string[] = [wait.phase];
  wait.on("phase", (phase) => phases.push(phase));
  wake.resolve({ outcome: "ready", route: route() });
  await eventually(() => phases.includes("waiting_for_port"), "it waits for the port");
  await startApp(t, () => {}, port);
  t.match(await wait.outcome, { kind: "ready" });
  t.strictSame(phases, ["starting", "waiting_for_port"]);
});

t.test("Wakes.join() refuses with the reason that control gives", async (t) => {
  const { become, wake, join } = await open(t, 1);
  become(asleep);
  const wait = join();
  wake.resolve({
    outcome: "refused",
    refusal: { code: "low_memory", message: "Too little.", retryAfterSeconds: 30, queuePosition: 2 },
  });
  t.strictSame(await wait.outcome, {
    kind: "refused",
    code: "low_memory",
    details: { detail: "Too little.", retryAfterSeconds: 30, queuePosition: 2 },
  });
});

t.test("Wakes.join() begins anew after an outcome", async (t) => {
  const { control, become, join } = await open(t, 1);
  become(asleep);
  control.wake = () => ({ outcome: "timed-out" });
  const first = join();
  t.match(await first.outcome, { kind: "refused", code: "waking_timeout" });
  first.leave();
  const second = join();
  t.not(second, first);
  t.match(await second.outcome, { kind: "refused", code: "waking_timeout" });
  t.equal(control.wakes.length, 2);
});

t.test("Wakes.join() refuses what there is not", async (t) => {
  const { become, wakes, join } = await open(t, 1);
  t.match(await join().outcome, { kind: "refused", code: "not_found" });
  become();
  t.match(
    await wakes.join(sandboxId, 4000, "api").outcome,
    { kind: "refused", code: "not_found" },
    "an undeclared port",
  );
});

t.test("Wakes.join() says of a port declared after the start that nobody listens there yet", async (t) => {
  const { become, control, wakes } = await open(t, 1, { ports: [3000, 4000] });
  control.listeners = { reachable: [3000], loopbackOnly: [] };
  become();
  t.match(await wakes.join(sandboxId, 4000, "api").outcome, {
    ...{ kind: "refused", code: "no_listener" },
    details: { listeningPorts: [3000], detail: /declared after/ },
  });
});

t.test("Wakes.join() gives up on a sandbox that is removed meanwhile", async (t) => {
  const { table, become, join } = await open(t, await freePort());
  become();
  const wait = join();
  table.apply({ type: "removal", revision: 99, id: sandboxId });
  t.match(await wait.outcome, { kind: "refused", code: "not_found" });
});

t.test("Wakes.join() goes on with whatever the sandbox becomes", async (t) => {
  const app = await startApp(t, () => {});
  const { control, become, route, wake, join } = await open(t, await freePort());
  become();
  const wait = join();
  const woken = once(control.called, "wake");
  become(asleep);
  await woken;
  const endpoints = [{ port: 3000, address: "127.0.0.1", upstreamPort: app }];
  wake.resolve({ outcome: "ready", route: route({ run: 2, endpoints }) });
  t.match(await wait.outcome, { kind: "ready", route: { run: 2 } });
});

t.test("Wakes.join() lets nobody wake who merely watches", async (t) => {
  const { control, become, join } = await open(t, 1);
  become(asleep);
  t.match(await join({ watching: true }).outcome, { kind: "refused", code: "asleep" });
  t.strictSame(control.wakes, []);
});

t.test("Wakes.join() wakes for one who may, however many watch, and no longer than he stays", async (t) => {
  const { control, become, join } = await open(t, await freePort());
  become();
  const watcher = join({ watching: true });
  const waker = join();
  t.equal(waker, watcher);
  t.equal(watcher.mayWake, true);
  waker.leave();
  t.equal(watcher.mayWake, false);
  become(asleep);
  t.match(await watcher.outcome, { kind: "refused", code: "asleep" });
  t.strictSame(control.wakes, []);
});

t.test("Wakes.join() ends with the last who takes part", async (t) => {
  const { join, become } = await open(t, await freePort());
  become();
  const wait = join();
  join();
  wait.leave();
  t.equal(wait.left.aborted, false);
  wait.leave();
  t.equal(wait.left.aborted, true);
  t.not(join(), wait, "whoever comes later waits anew");
});

t.test("Wakes.join() looks for a control that is away for some seconds, and then says so", async (t) => {
  const { control, become, join } = await open(t, 1);
  await control.stop();
  become(asleep);
  const wait = join();
  await eventually(() => wait.phase === "control_away", "it notices");
  t.match(await wait.outcome, { kind: "refused", code: "control_unavailable", details: { retryAfterSeconds: 5 } });
});
