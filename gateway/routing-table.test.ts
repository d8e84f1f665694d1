import t from "tap";
import type { Route } from "#contract/gateway-api.ts";
import { newId, routeTo } from "./hazards/test-gateway.ts";
import { RoutingTable } from "./routing-table.ts";

const [a, b, c] = [newId(), newId(), newId()];
const route = (id: Route["id"], generation: number, more: Partial<Route> = {}) =>
  routeTo(id, 1, { generation, ...more });

/** A table with these routes of epoch `e`, revision 5, and the ids that it has told of since. */
function tableOf(...routes: Route[]): { readonly table: RoutingTable; readonly told: string[] } {
  const table = new RoutingTable();
  table.apply({ type: "snapshot", epoch: "e", revision: 5, routes });
  const told: string[] = [];
  table.on("route", (id) => told.push(id));
  return { table, told };
}

t.test("RoutingTable knows nothing before its first snapshot, and says once when it is in", async (t) => {
  const table = new RoutingTable();
  let loaded = 0;
  table.on("loaded", () => loaded++);
  t.match(
    { loaded: table.loaded, epoch: table.epoch, revision: table.revision },
    { loaded: false, epoch: "", revision: 0 },
  );
  table.apply({ type: "snapshot", epoch: "e", revision: 5, routes: [route(a, 1)] });
  table.apply({ type: "snapshot", epoch: "f", revision: 1, routes: [] });
  t.equal(loaded, 1);
  t.match(
    { loaded: table.loaded, epoch: table.epoch, revision: table.revision },
    { loaded: true, epoch: "f", revision: 1 },
  );
});

t.test("RoutingTable.apply() replaces everything by a snapshot, and tells of what differs", async (t) => {
  const { table, told } = tableOf(route(a, 3), route(b, 3));
  table.apply({ type: "snapshot", epoch: "f", revision: 2, routes: [route(a, 3), route(c, 1)] });
  t.strictSame([...table.ids()].sort(), [a, c].sort());
  t.strictSame(told.sort(), [b, c].sort(), "not of what stayed as it was");
  t.equal(table.get(b), undefined);
  t.equal(table.size, 2);
});

t.test("RoutingTable.apply() takes a snapshot's word even for an earlier generation", async (t) => {
  const { table, told } = tableOf(route(a, 9));
  table.apply({ type: "snapshot", epoch: "f", revision: 1, routes: [route(a, 2, { status: "stopped" })] });
  t.match(table.get(a), { generation: 2, status: "stopped" });
  t.strictSame(told, [a]);
});

t.test("RoutingTable.apply() takes changes as they come, and no earlier generation", async (t) => {
  const { table, told } = tableOf(route(a, 3));
  table.apply({ type: "change", revision: 6, route: route(a, 4, { status: "stopped" }) });
  table.apply({ type: "change", revision: 7, route: route(a, 2, { status: "error" }) });
  table.apply({ type: "change", revision: 8, route: route(b, 1) });
  t.match(table.get(a), { generation: 4, status: "stopped" });
  t.match(table.get(b), { generation: 1 });
  t.equal(table.revision, 8, "what changes nothing counts as heard");
  t.strictSame(told, [a, b]);
});

t.test("RoutingTable.apply() removes, and tells of it once", async (t) => {
  const { table, told } = tableOf(route(a, 3));
  table.apply({ type: "removal", revision: 6, id: a });
  table.apply({ type: "removal", revision: 7, id: a });
  t.equal(table.get(a), undefined);
  t.equal(table.revision, 7);
  t.strictSame(told, [a]);
  table.apply({ type: "change", revision: 8, route: route(a, 1) });
  t.match(table.get(a), { generation: 1 }, "an id that comes again is a new sandbox");
});

t.test("RoutingTable.apply() takes a heartbeat for what it is", async (t) => {
  const { table, told } = tableOf(route(a, 3));
  table.apply({ type: "heartbeat", revision: 5 });
  t.strictSame(told, []);
  t.equal(table.revision, 5);
});

t.test("RoutingTable.apply() has made the change by the time it tells of it", async (t) => {
  const { table } = tableOf(route(a, 3), route(b, 3));
  const seen: unknown[] = [];
  table.on("route", (id) => seen.push(id === a ? table.get(a)?.status : table.get(b)));
  table.apply({ type: "change", revision: 6, route: route(a, 4, { status: "draining" }) });
  table.apply({ type: "removal", revision: 7, id: b });
  t.strictSame(seen, ["draining", undefined]);
});

t.test("RoutingTable.learn() takes what is as new or newer, of sandboxes that the watch knows", async (t) => {
  const { table, told } = tableOf(route(a, 3, { status: "stopped" }));
  table.learn(route(a, 3, { run: 2 }));
  t.match(table.get(a), { run: 2, status: "running" });
  table.learn(route(a, 5, { run: 3 }));
  table.learn(route(a, 4, { status: "stopped" }));
  t.match(table.get(a), { generation: 5, run: 3, status: "running" });
  table.learn(route(b, 9));
  t.equal(table.get(b), undefined, "the watch removed it, or has yet to name it");
  t.equal(table.revision, 5, "the watch goes on where it was");
  t.strictSame(told, [a, a]);
});
