import type { Test } from "tap";
import {
  type ContractSetup,
  type ContractTest,
  type EngineUnderTest,
  serverProgram,
  until,
} from "./engine-under-test.ts";
import type { EngineExit, ExecCommand, SandboxSpec } from "./sandbox-engine.ts";

const sleeper = "setInterval(() => {}, 1000)";
const killed = { code: null, signal: "SIGKILL" };

/** What runs in a sandbox besides its command. */
export function execContract(t: Test, setup: ContractSetup, { home }: EngineUnderTest): void {
  t.test("exec() runs a command as the sandbox does, with what it is given", async (t) => {
    const { it, spec, run } = await withSandbox(t, setup, { env: { COLOR: "blue", SIZE: "1" } });
    const script = 'cat; echo "$COLOR $SIZE $HOME $(id -u)"; pwd; echo oops >&2; exit 3';
    const ended = await run({ cmd: ["sh", "-c", script], env: { SIZE: "2" }, stdin: "given\n" });
    const [given, seen = "", cwd = ""] = ended.stdout.split("\n");
    t.match(ended, { stderr: "oops\n", exit: { code: 3, signal: null } });
    t.equal(given, "given");
    t.match(seen, `blue 2 ${home(it.dataDir, spec.id)} `);
    t.ok(cwd.endsWith("/workspace/app"));
    t.match((await run({ cmd: ["pwd"], cwd: "workspace" })).stdout, /\/workspace\n$/);
  });

  t.test("exec() tells a signal as such", async (t) => {
    const { run } = await withSandbox(t, setup);
    t.match((await run({ cmd: ["sh", "-c", "kill -9 $$"] })).exit, killed);
  });

  t.test("exec() refuses what cannot be started", async (t) => {
    const { it, spec, run } = await withSandbox(t, setup);
    await t.rejects(run({ cmd: ["no-such-command"] }), { code: "start_failed" });
    await t.rejects(run({ cmd: ["true"], cwd: "no-such-directory" }), { code: "start_failed" });
    await it.engine.setDesired(spec.id, "stopped", { graceSeconds: 5 });
    await t.rejects(run({ cmd: ["true"] }), { code: "start_failed" });
  });

  t.test("exec() hands every byte over, of much output and of much input that nobody reads", async (t) => {
    const { run } = await withSandbox(t, setup);
    const megabytes = "head -c 8000000 /dev/zero; head -c 8000000 /dev/zero >&2";
    const { stdout, stderr } = await run({ cmd: ["sh", "-c", megabytes], stdin: "x".repeat(900_000) });
    t.same([stdout.length, stderr.length], [8_000_000, 8_000_000]);
  });

  t.test("exec() ends with its command, whatever that leaves in the background", async (t) => {
    const { run } = await withSandbox(t, setup);
    const ended = await run({ cmd: ["sh", "-c", "(while :; do date > beats; sleep 0.1; done) & echo left"] });
    t.match(ended, { stdout: "left\n", exit: { code: 0 } });
    const beat = async () => (await run({ cmd: ["cat", "beats"] })).stdout;
    await run({ cmd: ["rm", "beats"] });
    await until("a beat of what was left behind", async () => (await beat()) !== "");
  });

  t.test("exec() ends all that a command has started when the signal aborts", async (t) => {
    const { run, count } = await withSandbox(t, setup);
    const abort = new AbortController();
    // One in its group, one in a session of its own, and one that has no parent any more.
    const script = "sleep 4711 & setsid sleep 4711 & (setsid sleep 4711 &) ; echo ready; sleep 4711";
    const ended = run({ cmd: ["sh", "-c", script] }, abort.signal);
    await until("four of them", async () => (await count("4711")) === 4);
    abort.abort();
    t.match((await ended).exit, killed);
    await until("none of them", async () => (await count("4711")) === 0);
  });

  t.test("exec() ends all of it when its output is left, and at once when nobody waits any more", async (t) => {
    const { it, spec, run, count } = await withSandbox(t, setup);
    const command = { ...anyCommand, cmd: ["sh", "-c", "echo one; sleep 4712 & sleep 4712"] };
    const { signal } = new AbortController();
    for await (const event of await it.engine.exec(spec.id, command, { signal })) if (event.type === "output") break;
    await until("none of them", async () => (await count("4712")) === 0);
    t.match((await run({ cmd: ["sleep", "4712"] }, AbortSignal.abort())).exit, killed);
  });

  t.test("exec() ends with its sandbox", async (t) => {
    const { it, spec, run, count } = await withSandbox(t, setup);
    const ended = run({ cmd: ["sleep", "4713"] });
    await until("the command", async () => (await count("4713")) === 1);
    await it.engine.setDesired(spec.id, "stopped", { graceSeconds: 0.1 });
    const { exit } = await ended;
    t.ok(exit.signal === "SIGKILL" || exit.signal === "SIGTERM", JSON.stringify(exit));
  });
}

const anyCommand: ExecCommand = { cmd: ["true"], cwd: "workspace/app", env: {}, stdin: "" };
type Ended = { readonly stdout: string; readonly stderr: string; readonly exit: EngineExit };

async function withSandbox(t: Test, setup: ContractSetup, overrides: Partial<SandboxSpec> = {}) {
  const it = await setup(t);
  const spec = it.spec(`${serverProgram}${sleeper}`, overrides);
  await it.start(spec);
  const run = (command: Partial<ExecCommand>, signal = new AbortController().signal) =>
    collect(it, spec, { ...anyCommand, ...command }, signal);
  /** How many processes there are of `sleep <seconds>`. */
  const count = async (seconds: string) => {
    const script = "for each in /proc/[0-9]*/cmdline; do tr '\\0' ' ' < $each; echo; done";
    const { stdout } = await run({ cmd: ["sh", "-c", script] });
    return stdout.split("\n").filter((line) => line === `sleep ${seconds} `).length;
  };
  return { it, spec, run, count };
}

async function collect(
  { engine }: ContractTest,
  { id }: SandboxSpec,
  command: ExecCommand,
  signal: AbortSignal,
): Promise<Ended> {
  const said = { stdout: "", stderr: "" };
  for await (const event of await engine.exec(id, command, { signal })) {
    if (event.type === "exit") return { ...said, exit: event.exit };
    said[event.stream] += event.bytes.toString("latin1");
  }
  throw new Error("no exit was told");
}
