import t from "tap";
import { EngineError } from "../engines/sandbox-engine.ts";
import { fixture, reached, running } from "../testing/fixture.ts";
import { newSandboxId } from "./create-sandbox.ts";
import { removeSandbox } from "./remove-sandbox.ts";
import { stopSandbox } from "./stop-sandbox.ts";
import { wakeSandbox } from "./wake-sandbox.ts";

const request = { cause: "request", class: "navigation" } as const;
const stop = { cause: "operator", mode: "stop", drain: "force" } as const;
const pause = { ...stop, mode: "pause" } as const;

t.test("wakeSandbox() starts a sleeping sandbox once for all who ask", async (t) => {
  const it = fixture(t);
  const { id, run } = await running(it);
  await stopSandbox(it.use, id, stop);
  it.engine.calls.length = 0;
  const results = await Promise.all(Array.from({ length: 1000 }, () => wakeSandbox(it.use, id, request)));
  t.same(it.engine.calls, ["ensure", "running"]);
  t.ok(results.every((result) => result === results[0]));
  t.match(results[0], { outcome: "ready", sandbox: { status: "running", run: run + 1 } });
});

t.test("wakeSandbox() publishes the running route with its endpoints before anyone is answered", async (t) => {
  const it = fixture(t);
  const { id } = await running(it);
  await stopSandbox(it.use, id, stop);
  t.same(it.feed.get(id)?.endpoints, []);
  await wakeSandbox(it.use, id, request);
  t.match(it.feed.get(id), { status: "running", endpoints: [{ port: 3000, address: "127.0.0.1" }] });
});

t.test("wakeSandbox() tells followers the leader's refusal", async (t) => {
  const it = fixture(t);
  const { id } = await running(it);
  await stopSandbox(it.use, id, stop);
  const held = it.engine.hold("ensure");
  it.engine.failNext("ensure", new EngineError("image_not_found", "no such image"));
  const leader = wakeSandbox(it.use, id, request);
  await held.begun;
  const follower = wakeSandbox(it.use, id, request);
  held.release();
  const refused = { outcome: "refused", refusal: { code: "image_missing", message: "no such image" } };
  t.match([await leader, await follower], [refused, refused]);
  t.match(it.use.records.get(id), { status: "stopped", reason: { code: "image_missing" } });
});

t.test("wakeSandbox() never says that a sandbox started which did not", async (t) => {
  const it = fixture(t);
  const { id } = await running(it);
  await stopSandbox(it.use, id, stop);
  it.engine.failNext("running", new Error("a bug") as EngineError);
  t.match(await wakeSandbox(it.use, id, request), { outcome: "refused", refusal: { message: "Internal error" } });
  t.equal(it.use.records.get(id)?.status, "stopped");
  t.match(await wakeSandbox(it.use, id, request), { outcome: "ready" });
});

t.test("wakeSandbox() is ready at once for one that runs, and starts one that is found to have ended", async (t) => {
  const it = fixture(t);
  const { id, run } = await running(it);
  t.match(await wakeSandbox(it.use, id, request), { outcome: "ready", wasRunning: true, sandbox: { run } });
  t.notOk(
    it.events.recent(id, 100).some(({ kind }) => kind === "wake"),
    "that was no wake",
  );
  it.engine.states.set(id, { ...(await it.engine.inspect(id)), state: "exited", endpoints: [], startedAt: null });
  t.match(await wakeSandbox(it.use, id, request), { outcome: "ready", wasRunning: false, sandbox: { run: run + 1 } });
});

t.test("wakeSandbox() lets a paused sandbox go on in the same run", async (t) => {
  const it = fixture(t);
  const { id, run } = await running(it);
  await stopSandbox(it.use, id, pause);
  t.equal(it.use.records.get(id)?.status, "paused");
  it.engine.calls.length = 0;
  t.match(await wakeSandbox(it.use, id, request), { outcome: "ready", sandbox: { status: "running", run } });
  t.same(it.engine.calls, ["running"]);
});

t.test("wakeSandbox() starts a paused sandbox whose container is gone", async (t) => {
  const it = fixture(t);
  const { id, run } = await running(it);
  await stopSandbox(it.use, id, pause);
  it.engine.states.delete(id);
  t.match(await wakeSandbox(it.use, id, request), { outcome: "ready", sandbox: { run: run + 1 } });
});

t.test("wakeSandbox() cancels an idle stop", async (t) => {
  const it = fixture(t, { leaseMs: 600_000 });
  const { id, run } = await running(it);
  it.use.workers.connect("silent", () => {});
  const idle = { kind: "idle", isActive: () => false } as const;
  const stopping = stopSandbox(it.use, id, { cause: "idle", mode: "stop", drain: idle });
  t.equal(it.use.records.get(id)?.status, "draining");
  t.match(await wakeSandbox(it.use, id, request), { outcome: "ready", sandbox: { run } });
  t.match(await stopping, { status: "running" });
});

t.test("wakeSandbox() waits for a stop that was asked for and starts it again", async (t) => {
  const it = fixture(t);
  const { id, run } = await running(it);
  const held = it.engine.hold("stopped");
  const stopping = stopSandbox(it.use, id, stop);
  await held.begun;
  const waking = wakeSandbox(it.use, id, request);
  held.release();
  t.match(await stopping, { status: "stopped" });
  t.match(await waking, { outcome: "ready", sandbox: { status: "running", run: run + 1 } });
});

t.test("wakeSandbox() ends with a sandbox that is removed meanwhile", async (t) => {
  const it = fixture(t);
  const { id } = await running(it);
  await stopSandbox(it.use, id, stop);
  const held = it.engine.hold("ensure");
  const waking = wakeSandbox(it.use, id, request);
  await held.begun;
  const removing = removeSandbox(it.use, id, "all");
  held.release();
  t.match(await waking, { outcome: "refused" });
  await removing;
  t.notOk(it.engine.calls.includes("running") && it.engine.states.has(id));
  t.match(await wakeSandbox(it.use, id, request), { outcome: "refused", refusal: { code: "not_found" } });
});

t.test("wakeSandbox() refuses an id that nobody made", async (t) => {
  const { use } = fixture(t);
  const refused = { outcome: "refused", refusal: { code: "not_found" } };
  t.match(await wakeSandbox(use, newSandboxId(), request), refused);
});

t.test("wakeSandbox() holds a crash loop back, and says so", async (t) => {
  const it = fixture(t);
  const { id } = await running(it);
  it.engine.log.push({ stream: "stderr", time: 1, line: "Cannot find module" });
  for (const _ of [1, 2]) {
    it.engine.exit(id, { code: 7 });
    const stopped = await it.use.lock.run(id, async () => it.use.records.get(id));
    t.notOk(stopped === undefined);
    await wakeSandbox(it.use, id, request);
  }
  const { use } = it;
  t.match(await wakeSandbox(use, id, request), {
    outcome: "refused",
    refusal: { code: "exited", exitCode: 7, retryAfterSeconds: 1, logTail: ["Cannot find module"] },
  });
  it.clock.now += 1000;
  t.match(await wakeSandbox(use, id, request), { outcome: "ready" });
});

t.test("wakeSandbox() insists for an operator's restart", async (t) => {
  const it = fixture(t);
  const { id } = await running(it);
  it.use.records.change(id, { status: "stopped", retryAt: it.clock.now + 60_000 }, { kind: "stop", cause: "exited" });
  t.match(await wakeSandbox(it.use, id, { cause: "restart", insist: true }), { outcome: "ready" });
});

t.test("wakeSandbox() records what came of it", async (t) => {
  const it = fixture(t);
  const { id } = await running(it);
  await stopSandbox(it.use, id, stop);
  await wakeSandbox(it.use, id, request);
  await reached(it, id, "running");
  t.match(it.events.recent(id, 1), [{ kind: "wake", cause: "request", class: "navigation", outcome: "ready" }]);
});
