import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { EngineError, type EngineExit } from "../sandbox-engine.ts";
import {
  hasProcessTable,
  isRunning,
  type Leader,
  type ProcessEntry,
  processTree,
  readProcess,
  signalTree,
} from "./process-table.ts";

/** How often the main process is looked at when it is not a child of this program. */
const lookMs = 100;
const unknownExit: EngineExit = { code: null, signal: null, outOfMemory: false };

export type RunCommand = {
  readonly cmd: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly output: readonly [stdout: number, stderr: number];
};

/**
 * One run of a sandbox: its main process, which leads a session of its own, and everything that this process has
 * started. When the main process ends the rest is ended too, as in a container. `exit` tells how the main process
 * ended, as soon as it did; `gone` resolves when no process of the run is left.
 */
export class SandboxRun {
  readonly leader: Leader;
  readonly exit: Promise<EngineExit>;
  readonly gone: Promise<void>;
  readonly #marks: readonly string[];
  #killAt = 0;
  /** What a pause has stopped. Stopped processes start no others, so that this is all there is. */
  #stopped: readonly ProcessEntry[] | undefined;

  private constructor(leader: Leader, marks: readonly string[], exit: Promise<EngineExit>) {
    this.leader = leader;
    this.#marks = marks;
    this.exit = exit;
    this.gone = exit.then(() => this.#sweep());
  }

  /** Starts the command. Throws `start_failed` when the system refuses. */
  static async spawn(command: RunCommand, marks: readonly string[]): Promise<SandboxRun> {
    const [file = "", ...args] = command.cmd;
    const { cwd, env, output } = command;
    let child: ChildProcess;
    try {
      child = spawn(file, args, { cwd, env, detached: true, stdio: ["ignore", ...output] });
    } catch (cause) {
      throw new EngineError("start_failed", `Cannot start ${file}: ${(cause as Error).message}`, { cause });
    }
    if (child.pid === undefined) {
      const [cause] = await once(child, "error");
      throw new EngineError("start_failed", `Cannot start ${file}: ${cause.code ?? cause.message}`, { cause });
    }
    const leader = { pid: child.pid, startTime: readProcess(child.pid)?.startTime ?? null };
    return new SandboxRun(leader, marks, exitOf(child));
  }

  /** Takes over what an earlier program started, or what is left of it, which is then ended. */
  static adopt(leader: Leader, marks: readonly string[]): SandboxRun {
    return new SandboxRun(leader, marks, watchLeader(leader));
  }

  signal(name: NodeJS.Signals): void {
    signalTree(this.leader, this.tree(), name);
  }

  /** Stops all where they are, those too that were just being started. */
  pause(): void {
    const stopped = new Map<number, ProcessEntry>();
    for (;;) {
      const fresh = this.tree().filter(({ pid }) => !stopped.has(pid));
      if (fresh.length === 0) break;
      signalTree(this.leader, fresh, "SIGSTOP");
      for (const entry of fresh) stopped.set(entry.pid, entry);
    }
    this.#stopped = [...stopped.values()];
  }

  /** Lets go on what was stopped, without a look at all the processes of this machine: a visitor waits for this. */
  resume(): void {
    signalTree(this.leader, this.#stopped ?? this.tree(), "SIGCONT");
    this.#stopped = undefined;
  }

  /** SIGTERM to all, SIGKILL to what is left after `graceSeconds`; resolves when all have ended. */
  async stop(graceSeconds: number): Promise<void> {
    this.#killAt = Date.now() + graceSeconds * 1000;
    if (graceSeconds > 0) this.signal("SIGTERM");
    // A stopped process takes SIGTERM when it goes on.
    this.signal(graceSeconds > 0 ? "SIGCONT" : "SIGKILL");
    const late = setTimeout(() => this.signal("SIGKILL"), graceSeconds * 1000);
    await this.gone;
    clearTimeout(late);
  }

  tree() {
    return processTree(this.leader, this.#marks);
  }

  async #sweep(): Promise<void> {
    // A process that is ending shows no environment any more while it still has its ports: it is waited for by its pid.
    let known: readonly ProcessEntry[] = [];
    for (let pauseMs = 2; ; pauseMs = Math.min(pauseMs * 2, 50)) {
      const rest = this.tree();
      const pids = new Set(rest.map(({ pid }) => pid));
      known = [...rest, ...known.filter((each) => !pids.has(each.pid) && isRunning(each))];
      if (known.length === 0) return;
      if (Date.now() >= this.#killAt) signalTree(this.leader, rest, "SIGKILL");
      await delay(pauseMs);
    }
  }
}

async function exitOf(child: ChildProcess): Promise<EngineExit> {
  const [code, signal] = await once(child, "exit");
  return { code, signal, outOfMemory: false };
}

/** The process is nobody's child here, so nobody tells how it ended. Without a process table it counts as ended. */
function watchLeader(leader: Leader): Promise<EngineExit> {
  if (!hasProcessTable || !isRunning(leader)) return Promise.resolve(unknownExit);
  return new Promise((resolve) => {
    const timer = setInterval(() => {
      if (isRunning(leader)) return;
      clearInterval(timer);
      resolve(unknownExit);
    }, lookMs);
  });
}
