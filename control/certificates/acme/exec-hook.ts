import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Variables } from "#contract/environment.ts";
import type { ChallengeRecord, ChallengeRecords } from "./challenge-records.ts";

const patienceMs = 120_000;
const keptOutput = 2000;

/**
 * A program of the operator's, called as lego calls its own: `<program> present|cleanup <name>. <value>`. It ends with 0
 * when the change was taken; the end of what it prints is the reason when it does not.
 */
export class ExecHook implements ChallengeRecords {
  readonly #program: string;
  readonly #environment: Variables;
  readonly #patienceMs: number;

  constructor(program: string, environment: Variables, options: { readonly patienceMs?: number } = {}) {
    this.#program = program;
    this.#environment = environment;
    this.#patienceMs = options.patienceMs ?? patienceMs;
  }

  present(record: ChallengeRecord, signal: AbortSignal): Promise<void> {
    return this.#run("present", record, signal);
  }

  remove(record: ChallengeRecord, signal: AbortSignal): Promise<void> {
    return this.#run("cleanup", record, signal);
  }

  async #run(verb: "present" | "cleanup", { name, value }: ChallengeRecord, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const child = spawn(this.#program, [verb, `${name}.`, value], {
      env: { ...this.#environment },
      stdio: ["ignore", "pipe", "pipe"],
      // A process group of its own: what it started ends with it.
      detached: true,
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk) => (output = (output + chunk).slice(-keptOutput)));
    }
    const both = AbortSignal.any([signal, AbortSignal.timeout(this.#patienceMs)]);
    const kill = () => killGroup(child.pid);
    both.addEventListener("abort", kill, { once: true });
    try {
      const [code, killed] = await once(child, "close");
      signal.throwIfAborted();
      if (code === 0) return;
      const how = both.aborted ? `took longer than ${this.#patienceMs} ms` : `ended with ${killed ?? code}`;
      throw new Error(`${this.#program} ${verb} ${how}${lastLine(output)}`);
    } finally {
      both.removeEventListener("abort", kill);
    }
  }
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}

function lastLine(output: string): string {
  const line = output.trim().split("\n").at(-1);
  return line ? `: ${line}` : "";
}
