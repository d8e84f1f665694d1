import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import t, { type Test } from "tap";
import type { SandboxId } from "#contract/sandbox-id.ts";
import { engineContract } from "../engine-contract.ts";
import { anySpec, get, newId, serverProgram, testSecrets, texts, until } from "../engine-under-test.ts";
import type { EngineState, SandboxEngine } from "../sandbox-engine.ts";
import { openProcessEngine } from "./process-engine.ts";
import { hasProcessTable, readProcess } from "./process-table.ts";

const logger = pino({ level: "silent" });
const path = process.env.PATH ?? "";

engineContract(t, {
  makeEngine: async (t, dataDir) => {
    const engine = openProcessEngine({ dataDir, path, secrets: testSecrets, logger });
    t.teardown(() => engine.close());
    return engine;
  },
  node: process.execPath,
  home: (dataDir, id) => join(dataDir, "workspaces", id),
  host: "127.0.0.1",
  absentCommand: "start_failed",
  noticeMs: 1_000,
});

async function open(t: Test) {
  const dataDir = await mkdtemp(join(tmpdir(), "process-engine-"));
  t.teardown(() => rm(dataDir, { recursive: true, force: true }));
  const engine = openProcessEngine({ dataDir, path, secrets: testSecrets, logger, closeGraceSeconds: 0.2 });
  t.teardown(() => engine.close());
  const start = async (program: string): Promise<SandboxId> => {
    const spec = { ...anySpec, id: newId(), cmd: [process.execPath, "-e", program] };
    await engine.ensure(spec);
    await engine.setDesired(spec.id, "running");
    return spec.id;
  };
  return { engine, dataDir, start };
}

/** Says the pids of a child in its session, one in a session of its own, and a grandchild whose parent has ended. */
const family = `
  const { spawn } = require("node:child_process");
  const stubborn = 'process.on("SIGTERM", () => {}); console.log("pid " + process.pid); setInterval(() => {}, 1000);';
  spawn(process.execPath, ["-e", stubborn], { stdio: "inherit" });
  spawn(process.execPath, ["-e", stubborn], { stdio: "inherit", detached: true });
  const daemon = "require('node:child_process').spawn(process.execPath, ['-e', " + JSON.stringify(stubborn)
    + "], { stdio: 'inherit', detached: true }).unref()";
  spawn(process.execPath, ["-e", daemon], { stdio: "inherit" });
  setInterval(() => {}, 1000);
`;

async function familyPids(engine: SandboxEngine, id: SandboxId): Promise<number[]> {
  const lines = await until("three pids", async () => {
    const lines = await texts(engine.logs(id, {}));
    return lines.length === 3 && lines;
  });
  return lines.map((line) => Number(line.slice("pid ".length)));
}

t.test("setDesired() ends children, sessions of their own and daemons", { skip: !hasProcessTable }, async (t) => {
  const { engine, start } = await open(t);
  const pids = await familyPids(engine, await start(family));
  t.ok(pids.every((pid) => readProcess(pid) !== undefined));
  const [{ id }] = (await engine.list()) as [EngineState];
  await engine.setDesired(id, "stopped", { graceSeconds: 0.1 });
  t.same(pids.map(readProcess), [undefined, undefined, undefined]);
});

t.test("the end of the main process ends the rest", { skip: !hasProcessTable }, async (t) => {
  const { engine, start } = await open(t);
  const id = await start(family);
  const pids = await familyPids(engine, id);
  process.kill(Number((await engine.inspect(id)).runtime.pid), "SIGKILL");
  await until("their end", () => pids.every((pid) => readProcess(pid) === undefined));
});

t.test("setDesired() lets children end by themselves within the grace", async (t) => {
  const { engine, start } = await open(t);
  const slowChild = `process.on("SIGTERM", () => setTimeout(() => { console.log("saved"); process.exit() }, 100));
    console.log("ready"); setInterval(() => {}, 1000)`;
  const id = await start(
    `require("node:child_process").spawn(process.execPath, ["-e", ${JSON.stringify(slowChild)}], { stdio: "inherit" });`,
  );
  await until("the child", async () => (await texts(engine.logs(id, {}))).includes("ready"));
  await engine.setDesired(id, "stopped", { graceSeconds: 10 });
  t.same(await texts(engine.logs(id, {})), ["ready", "saved"]);
});

t.test("close() ends all sandboxes, the stubborn ones after the grace", async (t) => {
  const { engine, start } = await open(t);
  const ids = [await start(serverProgram), await start(`process.on("SIGTERM", () => {});${serverProgram}`)];
  const states = await engine.list();
  await Promise.all(states.map(({ endpoints }) => get(endpoints[0])));
  await engine.close();
  t.same(
    states.map(({ runtime }) => readProcess(Number(runtime.pid))),
    [undefined, undefined],
  );
  t.match(await engine.inspect(ids[0]!), { state: "exited", exit: { signal: "SIGTERM" } });
});

t.test("a sandbox listens on a port of 127.0.0.1 below the ephemeral range", async (t) => {
  const { engine, start } = await open(t);
  await start(serverProgram);
  const [{ endpoints }] = (await engine.list()) as [EngineState];
  t.match(endpoints, [{ port: 3000, address: "127.0.0.1" }]);
  t.ok(endpoints[0]!.upstreamPort >= 20_000 && endpoints[0]!.upstreamPort < 30_000);
});

t.test("ensure() refuses a specification without a command", async (t) => {
  const { engine } = await open(t);
  await t.rejects(engine.ensure({ ...anySpec, id: newId() }), { code: "start_failed" });
});
