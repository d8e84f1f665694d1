import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

/** What the main process leaves behind gets so long to end by itself. */
const graceMs = 5_000;

export type Ended = { readonly code: number | null; readonly signal: NodeJS.Signals | null; readonly ranMs: number };

export type AppOptions = {
  readonly directory: string;
  /** Gets what it says on either stream. */
  readonly onOutput: (text: string, stream: "stdout" | "stderr") => void;
};

/** One run of a command, with everything that it starts: they are one process group, and end together. */
export class App {
  readonly ended: Promise<Ended>;
  readonly #child: ChildProcess;

  constructor(command: string, { directory, onOutput }: AppOptions) {
    const PATH = `${join(directory, "node_modules", ".bin")}:${process.env.PATH}`;
    const child = spawn("sh", ["-c", command], {
      cwd: directory,
      env: { ...process.env, PATH },
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child = child;
    for (const stream of ["stdout", "stderr"] as const) {
      child[stream]!.setEncoding("utf8").on("data", (text: string) => onOutput(text, stream));
    }
    const begun = performance.now();
    this.ended = once(child, "exit").then(async ([code, signal]) => {
      const ranMs = performance.now() - begun;
      await this.#endRest();
      return { code, signal, ranMs };
    });
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** Reaches the whole group. Returns whether anybody is left in it. */
  signal(name: NodeJS.Signals | 0): boolean {
    try {
      process.kill(-this.pid, name);
      return true;
    } catch {
      return false;
    }
  }

  /** A shell ends before what it has started: that gets its time too. */
  async #endRest(): Promise<void> {
    const until = performance.now() + graceMs;
    let isLeft = this.signal("SIGTERM");
    while (isLeft && performance.now() < until) {
      await delay(20);
      isLeft = this.signal(0);
    }
    if (isLeft) this.signal("SIGKILL");
  }
}
