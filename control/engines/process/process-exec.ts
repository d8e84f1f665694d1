import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { PassThrough, type Readable, Transform } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { EngineError, type EngineExit, type ExecEvent } from "../sandbox-engine.ts";
import { type Leader, processTree, readProcess, signalTree } from "./process-table.ts";

/** Names the run of a command, in the environment of all that it starts. */
export const markName = "SANDBOXD_EXEC";
/** What a command leaves in the background may keep its outputs open for ever. */
const outputPatienceMs = 1_000;
const killPatienceMs = 5_000;

export type ProcessCommand = {
  readonly cmd: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: string;
};

/** Runs a command as a process of this machine, in a session of its own. Throws `start_failed`. */
export async function execProcess(command: ProcessCommand, signal: AbortSignal): Promise<AsyncIterable<ExecEvent>> {
  const { cmd, cwd, env, stdin } = command;
  const [file = "", ...args] = cmd;
  const mark = randomUUID();
  const child = await start(file, () =>
    spawn(file, args, { cwd, env: { ...env, [markName]: mark }, detached: true, stdio: "pipe" }),
  );
  const ended = once(child, "exit").then(([code, signal]): EngineExit => ({ code, signal, outOfMemory: false }));
  // A command that does not read its input, or not to its end, is no failure.
  child.stdin!.on("error", () => {});
  child.stdin!.end(stdin);
  const leader = { pid: child.pid!, startTime: readProcess(child.pid!)?.startTime ?? null };
  return follow(child, ended, () => killAll(leader, [`${markName}=${mark}`]), signal);
}

async function* follow(
  child: ChildProcess,
  ended: Promise<EngineExit>,
  kill: () => Promise<void>,
  signal: AbortSignal,
): AsyncGenerator<ExecEvent> {
  let isOver = false;
  signal.addEventListener("abort", kill, { once: true });
  if (signal.aborted) void kill();
  try {
    yield* merge(child.stdout!, child.stderr!, ended);
    const exit = await ended;
    isOver = true;
    yield { type: "exit", exit };
  } finally {
    signal.removeEventListener("abort", kill);
    if (!isOver) await kill();
  }
}

async function start(file: string, begin: () => ChildProcess): Promise<ChildProcess> {
  try {
    const child = begin();
    await once(child, "spawn");
    return child;
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    throw new EngineError("start_failed", `Cannot start ${file} there: ${code ?? message}`, { cause });
  }
}

/** Both outputs in one, each no further ahead than its reader lets it be. */
function merge(stdout: Readable, stderr: Readable, ended: Promise<unknown>): AsyncIterable<ExecEvent> {
  const merged = new PassThrough({ objectMode: true, highWaterMark: 4 });
  const outputs = (["stdout", "stderr"] as const).map((stream) => {
    const output = stream === "stdout" ? stdout : stderr;
    const tag = new Transform({
      readableObjectMode: true,
      transform: (bytes: Buffer, _, done) => done(null, { type: "output", stream, bytes }),
    });
    output.pipe(tag).pipe(merged, { end: false });
    output.once("close", () => tag.end());
    return once(tag, "end");
  });
  void Promise.all(outputs).then(() => merged.end());
  void ended.then(async () => {
    const patience = new AbortController();
    await Promise.race([Promise.all(outputs), delay(outputPatienceMs, undefined, { signal: patience.signal })]);
    patience.abort();
    stdout.destroy();
    stderr.destroy();
  });
  return merged;
}

/** Ends a command with all that it started, wherever that went. */
export async function killAll(leader: Leader, marks: readonly string[]): Promise<void> {
  const deadline = Date.now() + killPatienceMs;
  for (;;) {
    const tree = processTree(leader, marks);
    if (tree.length === 0 || Date.now() > deadline) return;
    signalTree(leader, tree, "SIGKILL");
    await delay(10);
  }
}
