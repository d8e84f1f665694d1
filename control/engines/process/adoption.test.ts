import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import pino from "pino";
import t, { type Test } from "tap";
import { anySpec, get, newId, serverProgram, testSecrets, texts, until } from "../engine-under-test.ts";
import type { EngineEvent, EngineState, SandboxEngine, SandboxSpec } from "../sandbox-engine.ts";
import { openProcessEngine } from "./process-engine.ts";
import { hasProcessTable, readProcess } from "./process-table.ts";

const program = fileURLToPath(new URL("./fixtures/engine-program.ts", import.meta.url));
const logger = pino({ level: "silent" });

/** A data directory whose program was killed while its sandbox ran. */
async function crashed(t: Test, code: string, mode = "running") {
  const dataDir = await mkdtemp(join(tmpdir(), "adoption-"));
  t.teardown(() => rm(dataDir, { recursive: true, force: true }));
  const spec: SandboxSpec = { ...anySpec, id: newId(), cmd: [process.execPath, "-e", code] };
  const child = spawn(process.execPath, [program, dataDir, JSON.stringify(spec), mode], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  t.teardown(() => child.kill("SIGKILL"));
  const states = createInterface({ input: child.stdout });
  let state: EngineState | undefined;
  for await (const line of states) {
    state = JSON.parse(line);
    if (state?.state === (mode === "stopping" ? "running" : mode)) break;
  }
  return { dataDir, spec, state: state!, child };
}

async function kill(child: ChildProcess): Promise<void> {
  child.kill("SIGKILL");
  if (child.signalCode === null) await once(child, "exit");
}

function reopen(t: Test, dataDir: string): { engine: SandboxEngine; events: EngineEvent[] } {
  const engine = openProcessEngine({ dataDir, path: process.env.PATH ?? "", secrets: testSecrets, logger });
  t.teardown(() => engine.close());
  const events: EngineEvent[] = [];
  engine.watch((event) => events.push(event));
  return { engine, events };
}

t.test("adoption after SIGKILL of control", { skip: !hasProcessTable && "needs /proc" }, async (t) => {
  t.test("openProcessEngine() takes a running sandbox over as it is", async (t) => {
    const { dataDir, spec, state, child } = await crashed(t, `console.log("before");${serverProgram}`);
    const { pid } = await get(state.endpoints[0]);
    await kill(child);
    const { engine, events } = reopen(t, dataDir);
    t.same(await engine.inspect(spec.id), state);
    t.equal((await get(state.endpoints[0])).pid, pid);
    t.same(await texts(engine.logs(spec.id, {})), ["before", "listening"]);
    await engine.ensure(spec);
    t.same(await engine.setDesired(spec.id, "running"), state, "no second process");
    t.same((await engine.listeners(spec.id)).reachable, [state.endpoints[0]!.upstreamPort]);

    const exit = { code: null, signal: null, outOfMemory: false };
    t.match(await engine.setDesired(spec.id, "stopped", { graceSeconds: 5 }), { state: "exited", exit });
    t.equal(readProcess(pid), undefined);
    t.match(events, [{ type: "ended", exit: { code: null, signal: null } }]);
  });

  t.test("openProcessEngine() takes nothing over that was told to end, and sees to its end", async (t) => {
    const stubborn = `process.on("SIGTERM", () => setTimeout(() => process.exit(0), 500)); ${serverProgram}`;
    const { dataDir, spec, state, child } = await crashed(t, stubborn, "stopping");
    const record = join(dataDir, "processes", spec.id, "record.json");
    await until("the stop", async () => (await readFile(record, "utf8")).includes('"stopping":true'));
    await kill(child);
    const pid = Number(state.runtime.pid);
    t.ok(readProcess(pid), "it has not ended yet");
    const { engine } = reopen(t, dataDir);
    t.match(await engine.inspect(spec.id), { state: "exited", endpoints: [] });
    await engine.ensure(spec);
    t.match(await engine.setDesired(spec.id, "running"), { state: "running" });
    t.equal(readProcess(pid), undefined, "there is one at a time");
  });

  t.test("openProcessEngine() notices the end of an adopted sandbox at once", async (t) => {
    const { dataDir, spec, state, child } = await crashed(t, serverProgram);
    await kill(child);
    const { engine, events } = reopen(t, dataDir);
    process.kill(Number(state.runtime.pid), "SIGKILL");
    await until("the end", () => events.some(({ type }) => type === "ended"), 1_000);
    const exit = { code: null, signal: null, outOfMemory: false };
    t.match(await engine.inspect(spec.id), { state: "exited", exit, endpoints: [] }, "by itself, nobody knows how");
    t.match(await engine.setDesired(spec.id, "running"), { state: "running", exit: null });
  });

  t.test("openProcessEngine() ends what a sandbox left that ended while nobody looked", async (t) => {
    const leaver = `
      const child = require("node:child_process").spawn("sleep", ["1000"], { stdio: "ignore" });
      console.log(child.pid);
      setInterval(() => {}, 1000);`;
    const { dataDir, spec, state, child } = await crashed(t, leaver);
    const log = join(dataDir, "processes", spec.id, "stdout.log");
    const left = Number(await until("the child's pid", () => readFile(log, "utf8")));
    await kill(child);
    process.kill(Number(state.runtime.pid), "SIGKILL");
    await until("the main process's end", () => readProcess(Number(state.runtime.pid)) === undefined);
    t.ok(readProcess(left));
    const { engine } = reopen(t, dataDir);
    t.match(await engine.setDesired(spec.id, "running"), { state: "running" });
    t.equal(readProcess(left), undefined, "gone before the next run begins");
  });

  t.test("openProcessEngine() ends a process that was started and not yet recorded", async (t) => {
    const { dataDir, spec, state, child } = await crashed(t, serverProgram);
    await kill(child);
    const path = join(dataDir, "processes", spec.id, "record.json");
    const record = JSON.parse(await readFile(path, "utf8"));
    await writeFile(path, JSON.stringify({ ...record, run: { ...record.run, pid: null, startTime: null } }));
    const { engine } = reopen(t, dataDir);
    const next = await engine.setDesired(spec.id, "running");
    t.equal(readProcess(Number(state.runtime.pid)), undefined);
    t.equal(next.state, "running");
    t.not(next.runtime.pid, state.runtime.pid);
  });

  t.test("openProcessEngine() leaves a stranger alone that got the pid", async (t) => {
    const { dataDir, spec, state, child } = await crashed(t, serverProgram);
    await kill(child);
    process.kill(Number(state.runtime.pid), "SIGKILL");
    const stranger = spawn("sleep", ["1000"], { detached: true, stdio: "ignore" });
    t.teardown(() => stranger.kill("SIGKILL"));
    const path = join(dataDir, "processes", spec.id, "record.json");
    const record = JSON.parse(await readFile(path, "utf8"));
    await writeFile(path, JSON.stringify({ ...record, run: { ...record.run, pid: stranger.pid } }));
    const { engine } = reopen(t, dataDir);
    t.match(await engine.inspect(spec.id), { state: "exited", exit: null });
    t.match(await engine.setDesired(spec.id, "running"), { state: "running" });
    t.ok(readProcess(stranger.pid!));
  });

  t.test("openProcessEngine() knows that a sandbox is paused", async (t) => {
    const { dataDir, spec, state, child } = await crashed(t, serverProgram, "paused");
    await kill(child);
    const { engine } = reopen(t, dataDir);
    t.same(await engine.inspect(spec.id), state);
    t.match(await engine.setDesired(spec.id, "running"), { state: "running", startedAt: state.startedAt });
    t.ok(await get(state.endpoints[0]));
  });

  t.test("openProcessEngine() takes back a pause, or its end, that was not recorded", async (t) => {
    const running = await crashed(t, serverProgram);
    await get(running.state.endpoints[0]);
    await kill(running.child);
    process.kill(Number(running.state.runtime.pid), "SIGSTOP");
    t.match(await reopen(t, running.dataDir).engine.inspect(running.spec.id), { state: "running" });
    t.ok(await get(running.state.endpoints[0]));

    const paused = await crashed(t, serverProgram, "paused");
    await kill(paused.child);
    const pid = Number(paused.state.runtime.pid);
    process.kill(pid, "SIGCONT");
    t.match(await reopen(t, paused.dataDir).engine.inspect(paused.spec.id), { state: "paused" });
    await until("the pause", async () => / T /.test(await readFile(`/proc/${pid}/stat`, "utf8")));
  });
});

t.test("openProcessEngine() goes on without a record that cannot be read", async (t) => {
  const { dataDir, spec, child } = await crashed(t, "");
  await kill(child);
  await writeFile(join(dataDir, "processes", spec.id, "record.json"), "{");
  const { engine } = reopen(t, dataDir);
  t.match(await engine.inspect(spec.id), { state: "missing" });
  await engine.ensure(spec);
  t.match(await engine.inspect(spec.id), { state: "exited" });
});
