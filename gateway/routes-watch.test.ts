import { once } from "node:events";
import { pino } from "pino";
import t, { type Test } from "tap";
import { Admission } from "./access/admission.ts";
import { startControl, type TestControl } from "./hazards/test-control.ts";
import { eventually, newId, routeTo } from "./hazards/test-gateway.ts";
import { watchRoutes } from "./routes-watch.ts";
import { RoutingTable } from "./routing-table.ts";

const logger = pino({ level: "silent" });

type Watched = { readonly control: TestControl; readonly table: RoutingTable; readonly stop: () => Promise<void> };

/** A table that follows a test control; ends with the test. */
async function watch(t: Test): Promise<Watched> {
  const { control, client } = await startControl(t);
  const table = new RoutingTable();
  const end = new AbortController();
  const admission = new Admission({ control: client, table, logger });
  const watching = watchRoutes({ control: client, table, admission, worker: "w", logger }, end.signal);
  const stop = async () => {
    end.abort();
    await watching;
  };
  t.teardown(stop);
  return { control, table, stop };
}

/** Publishes a sandbox and waits until the table knows it. */
async function publish({ control, table }: Watched): Promise<ReturnType<typeof newId>> {
  const { id } = control.publish(routeTo(newId(), 1));
  await eventually(() => table.get(id) !== undefined, "the change arrives");
  return id;
}

t.test("watchRoutes() asks for a snapshot first, and follows the changes", async (t) => {
  const watched = await watch(t);
  const { control, table } = watched;
  await once(table, "loaded");
  t.strictSame(Object.fromEntries(control.watches[0]!), { worker: "w" });
  t.equal(table.epoch, control.epoch);
  const id = await publish(watched);
  control.remove(id);
  await eventually(() => table.get(id) === undefined, "the removal arrives");
  t.equal(table.revision, control.revision);
  t.equal(control.watches.length, 1);
});

t.test("watchRoutes() resumes where it was when a stream breaks", async (t) => {
  const watched = await watch(t);
  const { control, table } = watched;
  await once(table, "loaded");
  const id = await publish(watched);
  const again = once(control.called, "routes");
  const missed = control.learn(routeTo(newId(), 1));
  control.cut();
  await again;
  t.strictSame(Object.fromEntries(control.watches[1]!), { worker: "w", epoch: control.epoch, since: "1" });
  await eventually(() => table.get(missed.id) !== undefined, "what it missed comes");
  t.ok(table.get(id));
  t.equal(table.revision, 2);
});

t.test("watchRoutes() takes a new stream when a change is missing", async (t) => {
  const watched = await watch(t);
  const { control, table } = watched;
  await once(table, "loaded");
  await publish(watched);
  const lost = control.learn(routeTo(newId(), 1));
  const next = control.publish(routeTo(newId(), 1));
  await eventually(() => table.get(next.id) !== undefined, "the later change comes");
  t.ok(table.get(lost.id), "and the lost one before it");
  t.equal(control.watches.at(-1)!.get("since"), "1");
  t.equal(table.revision, 3);
});

t.test("watchRoutes() takes a removal or a heartbeat out of order for a gap too", async (t) => {
  const watched = await watch(t);
  const { control, table } = watched;
  await once(table, "loaded");
  const id = await publish(watched);
  const begun = Date.now();
  const missed = control.learn(routeTo(newId(), 1));
  control.send({ type: "heartbeat", revision: control.revision });
  await eventually(() => table.get(missed.id) !== undefined, "a heartbeat tells of what was missed");
  const second = control.learn(routeTo(newId(), 1));
  control.remove(id);
  await eventually(() => table.get(second.id) !== undefined && table.get(id) === undefined, "a removal does");
  t.ok(Date.now() - begun < 5_000, "long before silence would");
  t.equal(table.revision, control.revision);
});

t.test("watchRoutes() lives through heartbeats on one stream", async (t) => {
  const watched = await watch(t);
  const { control, table } = watched;
  await once(table, "loaded");
  await publish(watched);
  for (let index = 0; index < 5; index++) control.send({ type: "heartbeat", revision: control.revision });
  await publish(watched);
  t.equal(control.watches.length, 1);
});

t.test("watchRoutes() begins anew with a control that knows nothing of the last one", async (t) => {
  const watched = await watch(t);
  const { control, table } = watched;
  await once(table, "loaded");
  const id = await publish(watched);
  const { epoch } = table;
  await control.stop();
  t.ok(table.get(id), "the last word stands meanwhile");
  control.remove(id);
  await control.start();
  await eventually(() => table.epoch === control.epoch, "the new control's snapshot is in");
  t.not(table.epoch, epoch);
  t.equal(table.get(id), undefined);
  await publish(watched);
});

t.test("watchRoutes() waits for a control that is not there yet", async (t) => {
  const { control, client } = await startControl(t);
  await control.stop();
  const table = new RoutingTable();
  const end = new AbortController();
  const admission = new Admission({ control: client, table, logger });
  const watching = watchRoutes({ control: client, table, admission, worker: "w", logger }, end.signal);
  await control.start();
  await eventually(() => table.loaded, "it is found");
  end.abort();
  await watching;
  t.pass();
});

t.test("watchRoutes() breaks a stream off that says what the contract does not know", async (t) => {
  const watched = await watch(t);
  const { control, table } = watched;
  await once(table, "loaded");
  const id = await publish(watched);
  for (const message of [{ type: "gossip" }, { type: "change", revision: 2, route: { id } }, "no object"]) {
    const again = once(control.called, "routes");
    control.send(message as never);
    await again;
  }
  t.ok(table.get(id), "what was known stands");
  await publish(watched);
});

t.test("watchRoutes() takes silence for a dead stream", { timeout: 60_000 }, async (t) => {
  const { control, table } = await watch(t);
  await once(table, "loaded");
  const begun = Date.now();
  await once(control.called, "routes");
  t.equal(control.watches.length, 2);
  t.ok(Date.now() - begun > 5_000, "but not a pause between two heartbeats");
});

t.test("watchRoutes() ends with its signal, whatever it is at", async (t) => {
  const streaming = await watch(t);
  await once(streaming.table, "loaded");
  await streaming.stop();
  t.pass("while it follows a stream");
  const retrying = await watch(t);
  await once(retrying.table, "loaded");
  await retrying.control.stop();
  await retrying.stop();
  t.pass("while control is away");
});
