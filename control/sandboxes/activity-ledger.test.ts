import { once } from "node:events";
import t from "tap";
import type { RequestClass } from "#contract/gateway-api.ts";
import { fixture, running } from "../testing/fixture.ts";

const none = {
  lastActiveAt: 0,
  lastNavigationAt: 0,
  openRequests: 0,
  openSockets: 0,
  requests: 0,
  bytesIn: 0,
  bytesOut: 0,
};

t.test("take() writes a whole report in one transaction and never moves a time back", async (t) => {
  const it = fixture(t);
  const a = await running(it);
  const b = await running(it);
  // That there is a worker is remembered once.
  it.use.workers.hear("w");
  const before = await transactions(it.metrics);
  const now = it.clock.now;
  it.use.ledger.take({
    worker: "w",
    sequence: 1,
    sandboxes: [
      { ...none, id: a.id, lastActiveAt: now + 5000, lastNavigationAt: now + 4000, lastClass: "navigation" },
      { ...none, id: b.id, lastActiveAt: now - 99_999 },
    ],
  });
  t.equal((await transactions(it.metrics)) - before, 1);
  t.match(it.use.records.get(a.id), {
    lastActiveAt: now + 5000,
    lastNavigationAt: now + 4000,
    generation: a.generation,
  });
  t.match(it.use.records.get(b.id), { lastActiveAt: b.lastActiveAt, lastNavigationAt: null });
  t.match(it.use.ledger.extensions(a.id), [{ to: now + 5000, class: "navigation" }]);
});

t.test("take() counts an app's first answer to its start once, whoever tells of it", async (t) => {
  const it = fixture(t);
  const { id, run, awakeSince, recentStartsMs } = await running(it);
  const sandboxes = [{ ...none, id, answered: { run, at: awakeSince! + 2_000 } }];
  it.use.ledger.take({ worker: "w", sequence: 1, sandboxes });
  it.use.ledger.take({ worker: "v", sequence: 1, sandboxes });
  t.same(it.use.records.get(id)?.recentStartsMs, [recentStartsMs[0]! + 2_000]);
});

t.test("take() of a report without news writes nothing", async (t) => {
  const it = fixture(t);
  it.use.workers.hear("w");
  const before = await transactions(it.metrics);
  it.use.ledger.take({ worker: "w", sequence: 1, sandboxes: [] });
  t.equal(await transactions(it.metrics), before);
});

t.test("open() adds up what all workers have open, by their last reports", async (t) => {
  const it = fixture(t);
  const { id } = await running(it);
  const { ledger } = it.use;
  ledger.take({ worker: "a", sequence: 1, sandboxes: [{ ...none, id, openRequests: 2 }] });
  ledger.take({ worker: "b", sequence: 1, sandboxes: [{ ...none, id, openSockets: 3 }] });
  t.same(ledger.open(id), { requests: 2, sockets: 3, execs: 0 });
  ledger.take({ worker: "a", sequence: 3, sandboxes: [] });
  t.same(ledger.open(id), { requests: 0, sockets: 3, execs: 0 });
  ledger.take({ worker: "a", sequence: 2, sandboxes: [{ ...none, id, openRequests: 9 }] });
  t.same(ledger.open(id), { requests: 0, sockets: 3, execs: 0 }, "a late report changes nothing");
});

t.test("open() keeps a silent worker's counts until its lease ends", async (t) => {
  const it = fixture(t, { leaseMs: 20 });
  const { id } = await running(it);
  const gone = once(it.use.workers, "gone");
  it.use.ledger.take({ worker: "a", sequence: 1, sandboxes: [{ ...none, id, openRequests: 2 }] });
  t.same(it.use.ledger.open(id), { requests: 2, sockets: 0, execs: 0 });
  await gone;
  t.same(it.use.ledger.open(id), { requests: 0, sockets: 0, execs: 0 });
});

t.test("extensions() joins what belongs together, and keeps so many", async (t) => {
  const it = fixture(t);
  const { id } = await running(it);
  const { ledger } = it.use;
  let sequence = 0;
  const use = (lastActiveAt: number, lastClass: RequestClass) =>
    ledger.take({ worker: "w", sequence: ++sequence, sandboxes: [{ ...none, id, lastActiveAt, lastClass }] });
  use(1_000, "navigation");
  use(2_000, "api");
  use(30_000, "api");
  use(29_000, "navigation");
  use(95_000, "api");
  t.same(ledger.extensions(id), [
    { from: 1_000, to: 1_000, class: "navigation" },
    { from: 2_000, to: 30_000, class: "api" },
    { from: 95_000, to: 95_000, class: "api" },
  ]);
  for (let minute = 2; minute < 100; minute += 2) use(minute * 60_000, "api");
  t.equal(ledger.extensions(id).length, 20);
  ledger.forget(id);
  t.same(ledger.extensions(id), []);
});

async function transactions(metrics: ReturnType<typeof fixture>["metrics"]): Promise<number> {
  const metric = await metrics.registry.getSingleMetric("sandboxd_sqlite_transactions_total")!.get();
  return metric.values[0]?.value ?? 0;
}
