import { once } from "node:events";
import { pino } from "pino";
import t, { type Test } from "tap";
import type { Route } from "#contract/gateway-api.ts";
import { ActivityLedger } from "./activity.ts";
import { Fences } from "./fences.ts";
import { startControl } from "./hazards/test-control.ts";
import { eventually, newId, routeTo } from "./hazards/test-gateway.ts";
import { exchangeOf, sandboxId } from "./hazards/test-request.ts";
import { RoutingTable } from "./routing-table.ts";

async function open(t: Test) {
  const { control, client } = await startControl(t);
  const table = new RoutingTable();
  const ledger = new ActivityLedger("w", 60_000);
  const stop = new AbortController();
  t.teardown(() => stop.abort());
  const options = {
    table,
    ledger,
    control: client,
    worker: "w",
    logger: pino({ level: "silent" }),
    signal: stop.signal,
  };
  const fences = new Fences(options);
  let revision = 0;
  const become = (status: Route["status"], generation: number, id = sandboxId) =>
    table.apply({ type: "change", revision: ++revision, route: routeTo(id, 1, { status, generation }) });
  const request = () => Object.assign(ledger.open(exchangeOf({}), true), { forwarded: true });
  return { control, table, ledger, fences, stop, become, request };
}

t.test("Fences acknowledges a draining route as soon as it is known", async (t) => {
  const { control, become, request } = await open(t);
  request();
  request();
  become("running", 3);
  const reported = once(control.called, "fences");
  become("draining", 4);
  await reported;
  t.match(control.fences, [
    { worker: "w", id: sandboxId, generation: 4, openRequests: 2, openSockets: 0, keepsAwake: 2 },
  ]);
  t.ok(control.fences[0]!.lastActiveAt > 0);
});

t.test("Fences says what is left each time that it is told to, and nothing of other sandboxes", async (t) => {
  const { control, ledger, fences, become, request } = await open(t);
  const first = request();
  become("draining", 4);
  become("running", 1, newId());
  await once(control.called, "fences");
  ledger.close(sandboxId, first);
  const again = once(control.called, "fences");
  fences.acknowledge(sandboxId);
  await again;
  t.strictSame(
    control.fences.map(({ id, openRequests }) => [id, openRequests]),
    [
      [sandboxId, 1],
      [sandboxId, 0],
    ],
  );
});

t.test("Fences says nothing of a sandbox that does not drain", async (t) => {
  const { control, fences, become } = await open(t);
  for (const status of ["creating", "running", "paused", "stopped", "waking", "error"] as const) {
    become(status, 1);
    fences.acknowledge(sandboxId);
  }
  fences.acknowledge(newId());
  const reported = once(control.called, "fences");
  become("draining", 2);
  await reported;
  t.equal(control.fences.length, 1);
});

t.test("Fences acknowledges every generation that drains", async (t) => {
  const { control, become } = await open(t);
  for (const generation of [4, 6]) {
    const reported = once(control.called, "fences");
    become("draining", generation);
    await reported;
    become("running", generation + 1);
  }
  t.match(control.fences, [{ generation: 4 }, { generation: 6 }]);
});

t.test("Fences never lets an older report come last, and makes one of many", async (t) => {
  const { control, ledger, fences, become, request } = await open(t);
  const gate = Promise.withResolvers<boolean>();
  const reached = Promise.withResolvers<void>();
  control.accept = () => {
    reached.resolve();
    return gate.promise;
  };
  const requests = Array.from({ length: 50 }, request);
  become("draining", 4);
  await reached.promise;
  for (const activity of requests) {
    ledger.close(sandboxId, activity);
    fences.acknowledge(sandboxId);
  }
  gate.resolve(true);
  await eventually(() => control.fences.at(-1)?.openRequests === 0, "the last word is that nothing is open");
  t.strictSame(
    control.fences.map(({ openRequests }) => openRequests),
    [50, 0],
  );
});

t.test("Fences makes a lost report again for as long as the sandbox drains", async (t) => {
  const { control, become } = await open(t);
  let attempts = 0;
  control.accept = () => ++attempts > 3;
  become("draining", 4);
  await once(control.called, "fences");
  t.equal(attempts, 4);
  control.accept = () => {
    attempts++;
    return false;
  };
  become("draining", 5);
  await eventually(() => attempts > 5, "it goes on");
  become("stopped", 6);
  const reached = attempts;
  control.accept = () => true;
  const reported = once(control.called, "fences");
  become("draining", 7);
  await reported;
  t.match(control.fences, [{ generation: 4 }, { generation: 7 }]);
  t.ok(attempts <= reached + 1);
});

t.test("Fences ends with its signal", async (t) => {
  const { control, fences, stop, become } = await open(t);
  let attempts = 0;
  control.accept = () => {
    attempts++;
    return false;
  };
  become("draining", 4);
  await eventually(() => attempts > 1, "it tries");
  stop.abort();
  const reached = attempts;
  fences.acknowledge(sandboxId);
  become("draining", 5);
  t.ok(attempts <= reached + 1);
});
