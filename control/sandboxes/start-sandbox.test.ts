import t from "tap";
import { EngineError } from "../engines/sandbox-engine.ts";
import { fixture, running } from "../testing/fixture.ts";
import { recordCrash, startedChanges, startOnEngine } from "./start-sandbox.ts";

t.test("startOnEngine() ensures what is described now", async (t) => {
  const it = fixture(t);
  const sandbox = await running(it);
  it.engine.calls.length = 0;
  const start = await startOnEngine(it.use, { ...sandbox, env: { A: "1" } });
  t.match(start, { started: true, state: { state: "running" } });
  t.same(it.engine.calls, ["ensure", "running"]);
  t.match(it.engine.specs.get(sandbox.id), { env: { A: "1" } });
});

t.test("startOnEngine() gives a refusal for every failure", async (t) => {
  const it = fixture(t);
  const sandbox = await running(it);
  it.engine.failNext("ensure", new EngineError("engine_unavailable", "away"));
  t.match(await startOnEngine(it.use, sandbox), {
    started: false,
    refusal: { code: "engine_unavailable", message: "away" },
  });
  it.engine.failNext("ensure", new TypeError("a bug") as never);
  t.match(await startOnEngine(it.use, sandbox), { started: false, refusal: { message: "Internal error" } });
});

t.test("startOnEngine() that is called off starts nothing", async (t) => {
  const it = fixture(t);
  const sandbox = await running(it);
  it.engine.calls.length = 0;
  t.match(await startOnEngine(it.use, sandbox, { signal: AbortSignal.abort() }), { started: false });
  t.same(it.engine.calls, ["ensure"]);
});

t.test("startedChanges() counts a run and keeps what the last five starts took", async (t) => {
  const it = fixture(t);
  const sandbox = { ...(await running(it)), recentStartsMs: [1, 2, 3, 4, 5], run: 6 };
  const state = await it.engine.inspect(sandbox.id);
  t.match(startedChanges(sandbox, { started: true, state, tookMs: 9 }, 1000), {
    ...{ status: "running", run: 7, awakeSince: 1000, startedAt: state.startedAt, reason: null },
    recentStartsMs: [2, 3, 4, 5, 9],
  });
});

t.test("recordCrash() tells how it ended and what comes of it", async (t) => {
  const it = fixture(t);
  const { id } = await running(it);
  it.engine.exit(id, { code: null, signal: "SIGSEGV" });
  const ended = await recordCrash(it.use, id, await it.engine.inspect(id));
  t.match(ended, { status: "stopped", reason: { code: "exited", signal: "SIGSEGV" }, crashes: 1 });
  t.match(it.events.recent(id, 1), [{ kind: "stop", cause: "exited", outcome: "stopped" }]);
});
