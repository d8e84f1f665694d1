import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";

/** A program that this benchmark runs. Disposing of it ends it. */
export interface Child extends AsyncDisposable {
  readonly pid: number;
  readonly process: ChildProcess;
}

export type ChildOptions = { readonly env?: NodeJS.ProcessEnv; readonly cwd?: string };

const patienceMs = 20_000;
const stopMs = 10_000;

const running = new Set<ChildProcess>();
// Whatever ends this program ends them: control ends its sandboxes then.
process.on("exit", () => {
  for (const child of running) child.kill("SIGTERM");
});

/** Starts a program; its errors go to ours. Its own output is left to be read. */
export function startChild(program: string, args: readonly string[], { env, cwd }: ChildOptions = {}): Child {
  const child = spawn(program, args, { env: env ?? process.env, cwd, stdio: ["ignore", "pipe", "inherit"] });
  child.on("error", (error) => console.error(error));
  running.add(child);
  child.once("exit", () => running.delete(child));
  return {
    pid: child.pid!,
    process: child,
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill("SIGTERM");
      const late = setTimeout(() => child.kill("SIGKILL"), stopMs);
      await once(child, "exit");
      clearTimeout(late);
    },
  };
}

/** The first value that `read` finds in a line of the child's output. Rejects when the child ends before that. */
export function firstLine<T>({ process: child }: Child, read: (line: string) => T | undefined): Promise<T> {
  return new Promise((resolve, reject) => {
    createInterface({ input: child.stdout! }).on("line", (line) => {
      const found = read(line);
      if (found !== undefined) resolve(found);
    });
    child.once("exit", (code, signal) => reject(new Error(`${child.spawnfile} ended early: ${code ?? signal}`)));
  });
}

/** Resolves once something on loopback listens there. */
export async function untilListening(port: number): Promise<void> {
  const until = Date.now() + patienceMs;
  while (!(await isListening(port))) {
    if (Date.now() > until) throw new Error(`nothing listens on port ${port}`);
    await delay(20);
  }
}

export function isListening(port: number, host = "127.0.0.1"): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host });
    const end = (listening: boolean) => {
      socket.destroy();
      resolve(listening);
    };
    socket.once("connect", () => end(true)).once("error", () => end(false));
  });
}
