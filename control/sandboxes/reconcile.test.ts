import t from "tap";
import { EngineError } from "../engines/sandbox-engine.ts";
import { fixture, policy, running } from "../testing/fixture.ts";
import { newSandboxId } from "./create-sandbox.ts";
import { reconcile } from "./reconcile.ts";
import { newSandbox } from "./sandbox.ts";

t.test("reconcile() adopts what runs, in the same run and with its endpoints", async (t) => {
  const it = fixture(t);
  const { id, run, generation } = await running(it);
  it.use.records.learnEndpoints(id, []);
  await reconcile(it.use);
  t.match(it.use.records.get(id), { status: "running", run, generation });
  t.match(it.use.records.endpoints(id), [{ port: 3000 }]);
});

t.test("reconcile() counts a new run for what was started anew meanwhile", async (t) => {
  const it = fixture(t);
  const { id, run } = await running(it);
  await it.engine.setDesired(id, "stopped");
  await it.engine.setDesired(id, "running");
  await reconcile(it.use);
  t.match(it.use.records.get(id), { status: "running", run: run + 1 });
});

t.test("reconcile() puts to sleep what is missing, without blame", async (t) => {
  const it = fixture(t);
  const { id } = await running(it);
  it.engine.states.delete(id);
  await reconcile(it.use);
  t.match(it.use.records.get(id), { status: "stopped", reason: null, startedAt: null });
  t.same(it.feed.get(id)?.endpoints, []);
});

t.test("reconcile() tells how a sandbox ended while nobody looked", async (t) => {
  const it = fixture(t);
  const { id } = await running(it);
  it.engine.exit(id, { code: null, signal: "SIGKILL", outOfMemory: true });
  await reconcile(it.use);
  t.match(it.use.records.get(id), { status: "stopped", reason: { code: "out_of_memory" }, crashes: 1 });
});

t.test("reconcile() repairs every state that a crash of control leaves behind", async (t) => {
  const it = fixture(t);
  for (const status of ["draining", "waking"] as const) {
    const { id } = await running(it);
    it.use.store.put({ ...it.use.records.get(id)!, status });
    await reconcile(it.use);
    t.match(it.use.records.get(id), { status: "running" }, `${status}, and the container runs`);
    it.use.store.put({ ...it.use.records.get(id)!, status });
    await it.engine.setDesired(id, "stopped");
    await reconcile(it.use);
    t.match(it.use.records.get(id), { status: "stopped", reason: null }, `${status}, and the container does not run`);
  }
});

t.test("reconcile() takes the end of a stop that a crash of control cut off for no crash of the sandbox", async (t) => {
  const it = fixture(t);
  for (const status of ["draining", "paused"] as const) {
    const { id } = await running(it);
    it.use.store.put({ ...it.use.records.get(id)!, status });
    it.engine.exit(id, { code: null, signal: "SIGTERM", outOfMemory: false });
    await reconcile(it.use);
    t.match(it.use.records.get(id), { status: "stopped", reason: null, crashes: 0, retryAt: null }, status);
  }
  const { id } = await running(it);
  it.use.store.put({ ...it.use.records.get(id)!, status: "paused" });
  it.engine.exit(id, { code: null, signal: "SIGKILL", outOfMemory: true });
  await reconcile(it.use);
  t.match(it.use.records.get(id), { status: "stopped", reason: { code: "out_of_memory" } });
});

t.test("reconcile() gives up on a half-made create after five minutes", async (t) => {
  const it = fixture(t);
  const id = newSandboxId();
  it.use.records.insert(newSandbox(id, policy, it.clock.now), { kind: "create", cause: "operator" });
  it.clock.now += 4 * 60_000;
  await reconcile(it.use);
  t.equal(it.use.records.get(id)?.status, "creating");
  it.clock.now += 2 * 60_000;
  await reconcile(it.use);
  t.match(it.use.records.get(id), { status: "error", reason: { code: "start_failed" } });
});

t.test("reconcile() finishes a half-made create whose container runs", async (t) => {
  const it = fixture(t);
  const { id } = await running(it);
  it.use.store.put({ ...it.use.records.get(id)!, status: "creating" });
  await reconcile(it.use);
  t.match(it.use.records.get(id), { status: "running" });
});

t.test("reconcile() leaves alone what nobody made here", async (t) => {
  const it = fixture(t);
  const { id } = await running(it);
  it.use.store.delete(id);
  it.engine.calls.length = 0;
  await reconcile(it.use);
  t.same(it.engine.calls, []);
  t.equal(it.use.records.get(id), undefined);
});

t.test("reconcile() follows a pause that somebody else made", async (t) => {
  const it = fixture(t);
  const { id, run } = await running(it);
  await it.engine.setDesired(id, "paused");
  await reconcile(it.use);
  t.match(it.use.records.get(id), { status: "paused", run, awakeSince: null });
  await it.engine.setDesired(id, "running");
  await reconcile(it.use);
  t.match(it.use.records.get(id), { status: "running", run });
});

t.test("reconcile() rejects while the engine is away and changes nothing", async (t) => {
  const it = fixture(t);
  const { id, generation } = await running(it);
  it.engine.failNext("list", new EngineError("engine_unavailable", "away"));
  await t.rejects(reconcile(it.use), { code: "engine_unavailable" });
  t.equal(it.use.records.get(id)?.generation, generation);
});

t.test("reconcile() of 10,000 sandboxes takes less than ten seconds", async (t) => {
  const it = fixture(t);
  const { id } = await running(it);
  const sandbox = it.use.records.get(id)!;
  it.database.transaction(() => {
    for (let n = 0; n < 10_000; n++) it.use.store.put({ ...sandbox, id: newSandboxId() });
  });
  const begun = performance.now();
  await reconcile(it.use);
  it.use.records.publishAll();
  t.ok(performance.now() - begun < 10_000);
  t.equal(it.use.store.countByStatus().get("stopped"), 10_000);
});
