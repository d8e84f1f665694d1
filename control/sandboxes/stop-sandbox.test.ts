import t from "tap";
import { EngineError } from "../engines/sandbox-engine.ts";
import { fixture, running } from "../testing/fixture.ts";
import { newSandboxId } from "./create-sandbox.ts";
import { stopSandbox } from "./stop-sandbox.ts";

const force = { cause: "operator", mode: "stop", drain: "force" } as const;
const asked = { ...force, drain: { kind: "asked", milliseconds: 60_000 } } as const;
const idle = { cause: "idle", mode: "stop", drain: { kind: "idle", isActive: () => false } } as const;
const clear = { openRequests: 0, openSockets: 0, keepsAwake: 0, lastActiveAt: 0 };

t.test("stopSandbox() publishes draining, waits behind the fence and stops", async (t) => {
  const it = fixture(t);
  const { id } = await running(it);
  it.use.workers.connect("w", () => {});
  const stopping = stopSandbox(it.use, id, asked);
  const { generation, status } = it.feed.get(id)!;
  t.equal(status, "draining");
  t.notOk(it.engine.calls.includes("stopped"));
  it.use.drains.acknowledge({ worker: "w", id, generation, ...clear });
  t.match(await stopping, { status: "stopped", startedAt: null, awakeSince: null });
  t.match(it.feed.get(id), { status: "stopped", endpoints: [] });
});

t.test("stopSandbox() leaves a sandbox running whose idle stop is cancelled", async (t) => {
  const it = fixture(t);
  const { id, run } = await running(it);
  it.use.workers.connect("w", () => {});
  const stopping = stopSandbox(it.use, id, idle);
  const { generation } = it.feed.get(id)!;
  it.use.drains.acknowledge({ worker: "w", id, generation, ...clear, openRequests: 1, keepsAwake: 1 });
  t.match(await stopping, { status: "running", run });
  t.notOk(it.engine.calls.includes("stopped"));
  t.match(it.events.recent(id, 1), [{ kind: "stop", cause: "idle", outcome: "cancelled" }]);
});

t.test("stopSandbox() with force does not wait for what is open", async (t) => {
  const it = fixture(t);
  const { id } = await running(it);
  it.use.workers.connect("w", () => {});
  t.match(await stopSandbox(it.use, id, force), { status: "stopped" });
});

t.test("stopSandbox() changes nothing about one that sleeps, and stops a paused one", async (t) => {
  const it = fixture(t);
  const { id } = await running(it);
  t.match(await stopSandbox(it.use, id, { ...force, mode: "pause" }), { status: "paused" });
  const paused = it.use.records.get(id)!;
  t.match(await stopSandbox(it.use, id, { ...force, mode: "pause" }), { generation: paused.generation });
  t.match(await stopSandbox(it.use, id, force), { status: "stopped" });
  const stopped = it.use.records.get(id)!;
  t.match(await stopSandbox(it.use, id, force), { generation: stopped.generation });
});

t.test("stopSandbox() keeps a sandbox running that the engine cannot stop", async (t) => {
  const it = fixture(t);
  const { id } = await running(it);
  it.engine.failNext("stopped", new EngineError("engine_unavailable", "away"));
  await t.rejects(stopSandbox(it.use, id, force), { code: "engine_unavailable", retryAfterSeconds: 5 });
  t.equal(it.use.records.get(id)?.status, "running");
});

t.test("stopSandbox() takes `unsupported` for a bad request", async (t) => {
  const it = fixture(t);
  const { id } = await running(it);
  it.engine.failNext("paused", new EngineError("unsupported", "cannot pause"));
  await t.rejects(stopSandbox(it.use, id, { ...force, mode: "pause" }), { code: "invalid_request" });
});

t.test("stopSandbox() rejects an id that nobody made", async (t) => {
  const { use } = fixture(t);
  await t.rejects(stopSandbox(use, newSandboxId(), force), { code: "not_found" });
});
