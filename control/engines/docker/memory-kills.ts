import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { SandboxId } from "#contract/sandbox-id.ts";
import { type CgroupRoots, thisMachine } from "./memory-high.ts";

const killedExitCode = 137;
const sigkill = "9";

/**
 * Which sandboxes the kernel killed for memory in their present or last run. The daemon says so, but not every time:
 * containerd drops the notice when the control group is gone before it looks (its cgroup v1 watcher returns early for a
 * deleted group). Then the kernel's own count tells: an end by SIGKILL that no call asked for, and a kill for memory on
 * this machine that nobody else's end explains (`oom_kill` in proc_vmstat(5)).
 */
export class MemoryKills {
  readonly #roots: CgroupRoots;
  readonly #killed = new Set<SandboxId>();
  readonly #asked = new Set<SandboxId>();
  /** What was unexplained when a run started. */
  readonly #before = new Map<SandboxId, number>();
  readonly #atFirst: number;
  #explained = 0;

  constructor(roots = thisMachine) {
    this.#roots = roots;
    this.#atFirst = this.#unexplained();
  }

  has(id: SandboxId): boolean {
    return this.#killed.has(id);
  }

  onStart(id: SandboxId): void {
    this.forget(id);
    this.#before.set(id, this.#unexplained());
  }

  onOutOfMemory(id: SandboxId): void {
    if (!this.#killed.has(id)) this.#explained++;
    this.#killed.add(id);
  }

  /** Somebody had the daemon send a signal. */
  onKill(id: SandboxId, signal: string): void {
    if (signal === sigkill) this.#asked.add(id);
  }

  /** `isKnown` asks the container, which may have been told after the end. */
  async onEnd(id: SandboxId, exitCode: number, isKnown: () => Promise<boolean>): Promise<void> {
    if (exitCode !== killedExitCode || this.#killed.has(id)) return;
    const seen = this.#unexplained() > (this.#before.get(id) ?? this.#atFirst) && !this.#asked.has(id);
    if (seen || (await isKnown())) this.onOutOfMemory(id);
  }

  forget(id: SandboxId): void {
    this.#killed.delete(id);
    this.#asked.delete(id);
    this.#before.delete(id);
  }

  /** Kills of the whole machine less those that ends of sandboxes explain; without a count none is ever unexplained. */
  #unexplained(): number {
    try {
      const all = /^oom_kill ([0-9]+)$/m.exec(readFileSync(join(this.#roots.proc, "vmstat"), "utf8"))?.[1];
      return Number(all ?? 0) - this.#explained;
    } catch {
      return 0;
    }
  }
}
