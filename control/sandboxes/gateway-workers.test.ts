import { once } from "node:events";
import t from "tap";
import { GatewayWorkers } from "./gateway-workers.ts";

function remembering(names = new Set<string>()) {
  return {
    ids: () => [...names],
    add: (id: string) => void names.add(id),
    remove: (id: string) => void names.delete(id),
  };
}

t.test("connect() keeps a worker alive without a word, until its lease after the stream ends", async (t) => {
  const workers = new GatewayWorkers(remembering(), { leaseMs: 20 });
  t.teardown(() => workers.close());
  const disconnect = workers.connect("a", () => {});
  t.notOk(workers.someSilent);
  const gone = once(workers, "gone");
  disconnect();
  t.ok(workers.someSilent);
  t.ok(workers.isLive("a"), "its connections may live on");
  t.same(await gone, ["a"]);
  t.same(workers.live, []);
  t.notOk(workers.someSilent);
});

t.test("connect() knows a worker that comes back", async (t) => {
  const workers = new GatewayWorkers(remembering(), { leaseMs: 10_000 });
  t.teardown(() => workers.close());
  const first = workers.connect("a", () => {});
  const second = workers.connect("a", () => {});
  first();
  t.notOk(workers.someSilent);
  second();
  second();
  t.ok(workers.someSilent);
});

t.test("hear() gives a worker that has no stream a lease", async (t) => {
  const workers = new GatewayWorkers(remembering(), { leaseMs: 20 });
  t.teardown(() => workers.close());
  const gone = once(workers, "gone");
  workers.hear("a");
  t.ok(workers.isLive("a"));
  t.same(await gone, ["a"]);
});

t.test("cut() ends every stream of one worker", async (t) => {
  const workers = new GatewayWorkers(remembering());
  t.teardown(() => workers.close());
  const cut: string[] = [];
  workers.connect("a", () => cut.push("a1"));
  workers.connect("a", () => cut.push("a2"));
  workers.connect("b", () => cut.push("b"));
  workers.cut("a");
  workers.cut("unknown");
  t.same(cut, ["a1", "a2"]);
});

t.test("GatewayWorkers gives the workers that an earlier control knew their lease to come back", async (t) => {
  const names = new Set<string>();
  const earlier = new GatewayWorkers(remembering(names));
  earlier.connect("a", () => {});
  earlier.connect("b", () => {});
  earlier.close();

  const workers = new GatewayWorkers(remembering(names), { leaseMs: 20 });
  t.teardown(() => workers.close());
  t.ok(workers.someSilent);
  workers.connect("a", () => {});
  t.same(workers.live, ["a", "b"]);
  t.same(await once(workers, "gone"), ["b"]);
  t.same([...names], ["a"]);
});
