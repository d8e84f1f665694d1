import { setImmediate } from "node:timers/promises";
import t, { type Test } from "tap";
import { EngineError } from "../engines/sandbox-engine.ts";
import { fixture, reached, running } from "../testing/fixture.ts";
import { type ExecMessage, execInSandbox } from "./exec-in-sandbox.ts";
import { mostExecs } from "./execs.ts";
import { reapIdle } from "./idle-reaper.ts";
import { reapPressure } from "./pressure-reaper.ts";
import { stopSandbox } from "./stop-sandbox.ts";

const hourMs = 3_600_000;
const request = { cmd: ["build"], cwd: "workspace/app", env: {}, stdin: "", timeoutSeconds: 3600 };
const { signal } = new AbortController();
const byHand = { cause: "operator", mode: "stop", drain: { kind: "asked", milliseconds: 0 } } as const;

async function withExec(t: Test) {
  const it = fixture(t);
  const { id } = await running(it, { idleSeconds: 60 });
  const seen: ExecMessage[] = [];
  const messages = await execInSandbox(it.use, id, request, signal);
  const ended = (async () => {
    for await (const message of messages) seen.push(message);
  })();
  return { ...it, it, id, seen, ended };
}

t.test("a running command keeps its sandbox awake, attended or not", async (t) => {
  const { use, id, clock } = await withExec(t);
  clock.now += 5 * hourMs;
  await reapIdle(use);
  t.equal(use.records.get(id)?.status, "running");
});

t.test("the end of a command counts as a use of its sandbox", async (t) => {
  const { it, use, id, clock, ended, engine } = await withExec(t);
  clock.now += hourMs;
  await reapIdle(use);
  t.equal(use.records.get(id)?.status, "running");
  engine.execs[0]!.end(0);
  await ended;
  clock.now += 59_000;
  await reapIdle(use);
  t.equal(use.records.get(id)?.status, "running");
  clock.now += 2_000;
  await reapIdle(use);
  t.equal(use.records.get(id)?.status, "stopped");
  t.equal(it.use.execs.count(id), 0);
});

t.test("a running command is no reason to stop its sandbox while memory is low, short of an emergency", async (t) => {
  const { use, id, clock, memory, engine, ended } = await withExec(t);
  clock.now += hourMs;
  memory.availableBytes = memory.totalBytes * 0.12;
  await reapPressure(use);
  t.equal(use.records.get(id)?.status, "running");
  engine.execs[0]!.end(0);
  await ended;
  clock.now += hourMs;
  await reapPressure(use);
  t.equal(use.records.get(id)?.status, "stopped");
});

t.test("a stop that was asked for ends the command and says so", async (t) => {
  const { use, id, seen, ended } = await withExec(t);
  await stopSandbox(use, id, byHand);
  await ended;
  t.match(seen.at(-1), { type: "end", endedBy: "stop", exitCode: 137, signal: "SIGKILL" });
});

t.test("an idle stop under way gives way to a command", async (t) => {
  const it = fixture(t);
  const { id } = await running(it);
  it.use.workers.connect("w", () => {});
  it.clock.now += hourMs;
  const reaping = reapIdle(it.use);
  await reached(it, id, "draining");
  const messages = await execInSandbox(it.use, id, request, signal);
  await reaping;
  t.equal(it.use.records.get(id)?.status, "running");
  it.engine.execs[0]!.end(0);
  for await (const _ of messages);
});

t.test("a command that comes during a stop waits for it and wakes the sandbox again", async (t) => {
  const it = fixture(t);
  const { id } = await running(it);
  const held = it.engine.hold("stopped");
  const stopping = stopSandbox(it.use, id, byHand);
  await held.begun;
  const starting = execInSandbox(it.use, id, request, signal);
  await setImmediate();
  held.release();
  t.match(await stopping, { status: "stopped" });
  const messages = await starting;
  t.equal(it.use.records.get(id)?.status, "running");
  it.engine.execs[0]!.end(7);
  const seen: ExecMessage[] = [];
  for await (const message of messages) seen.push(message);
  t.match(seen.at(-1), { exitCode: 7, endedBy: "itself" });
});

t.test("so many commands run in a sandbox and no more, and one that cannot be started counts no longer", async (t) => {
  const it = fixture(t);
  const { id } = await running(it);
  it.engine.failNext("exec", new EngineError("start_failed", "no"));
  await t.rejects(execInSandbox(it.use, id, request, signal), { code: "start_failed" });
  t.equal(it.use.execs.count(id), 0);
  for (let count = 0; count < mostExecs; count++) await execInSandbox(it.use, id, request, signal);
  await t.rejects(execInSandbox(it.use, id, request, signal), { code: "too_many_requests" });
});
