import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import t, { type Test } from "tap";
import { patchSandbox } from "../sandboxes/patch-sandbox.ts";
import { newDirectory } from "../testing/control.ts";
import { fixture, running } from "../testing/fixture.ts";
import { SnapshotSchedules } from "./snapshot-schedules.ts";
import { takeSnapshot } from "./take-snapshot.ts";

const at = (text: string) => Date.parse(text);
const nightly = { timezone: "UTC", at: ["0 3 * * *"], keep: null, keepDays: null };

async function setUp(t: Test) {
  const directory = newDirectory(t);
  const it = fixture(t, { config: { dataDirectory: directory } });
  it.clock.now = at("2026-11-24T02:00:00Z");
  const sandbox = await running(it, { snapshots: nightly });
  mkdirSync(join(directory, "workspaces", sandbox.id), { recursive: true });
  const taken = () => it.use.snapshots.store.ofSandbox(sandbox.id).map(({ cause, createdAt }) => [cause, createdAt]);
  return { it, directory, id: sandbox.id, taken };
}

t.test(
  "SnapshotSchedules take a snapshot when it is due, frozen for it, and make up for one that was missed",
  async (t) => {
    const { it, id, taken } = await setUp(t);
    const schedules = new SnapshotSchedules(it.use);
    await schedules.turn();
    t.same(taken(), []);
    it.clock.now = at("2026-11-24T03:00:10Z");
    it.engine.calls.length = 0;
    await schedules.turn();
    await schedules.turn();
    t.same(taken(), [["schedule", it.clock.now]]);
    t.same(it.engine.calls, ["paused", "running"]);
    schedules.close();
    it.clock.now = at("2026-11-27T12:00:00Z");
    const later = new SnapshotSchedules(it.use);
    await later.turn();
    await later.turn();
    t.equal(taken().length, 2);
    await patchSandbox(it.use, id, () => ({ snapshots: null }), {});
    it.clock.now = at("2026-11-28T12:00:00Z");
    await later.turn();
    t.equal(taken().length, 2);
    later.close();
  },
);

t.test("takeSnapshot() that fails lets the sandbox go on, and leaves nothing", async (t) => {
  const { it, directory, id, taken } = await setUp(t);
  const held = it.engine.hold("paused");
  const taking = takeSnapshot(it.use, id, { name: null, cause: "operator" });
  await held.begun;
  rmSync(join(directory, "workspaces", id), { recursive: true });
  held.release();
  await t.rejects(taking, { code: "conflict", message: /cannot be copied/ });
  t.match(await it.engine.inspect(id), { state: "running" });
  t.match(it.use.records.get(id), { status: "running" });
  t.same(taken(), []);
});

t.test("takeSnapshot() stops and wakes what cannot be frozen", async (t) => {
  const { it, id, taken } = await setUp(t);
  it.engine.canPause = false;
  it.engine.calls.length = 0;
  await takeSnapshot(it.use, id, { name: null, cause: "operator" });
  t.same(it.engine.calls, ["stopped", "ensure", "running"]);
  t.match(it.use.records.get(id), { status: "running" });
  t.equal(taken().length, 1);
});
