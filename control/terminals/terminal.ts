import { setTimeout as delay } from "node:timers/promises";
import { ulid } from "ulid";
import type { SandboxId } from "#contract/sandbox-id.ts";
import type { EngineExit, EngineTerminal, TerminalSize } from "../engines/sandbox-engine.ts";
import type { Exec } from "../sandboxes/execs.ts";

/** Of what was shown lately, for whoever comes back. */
const mostRecentBytes = 256 * 1024;
/** Whoever takes nothing for so long is let go; the terminal waits for nobody longer. */
const slowViewerMs = 20_000;

export type TerminalBounds = {
  /** Without anybody who looks at it. */
  readonly unwatchedMs: number;
  /** Without a key, whoever looks at it. */
  readonly untouchedMs: number;
};

export type TerminalEnd = { readonly because: "exit" | "stop" | "idle"; readonly exit: EngineExit };

/** Somebody who looks at a terminal. */
export type Viewer = {
  /** Resolves when it was taken. */
  show(bytes: Buffer): Promise<void>;
  end(end: TerminalEnd): void;
  /** It takes nothing any more. */
  drop(): void;
};

/**
 * A shell that outlives the connection of whoever opened it: it goes on without anybody for a while, and whoever comes back
 * sees what it has shown lately. It ends with its sandbox's sleep, and when nobody touches it for long.
 */
export class Terminal {
  readonly id = ulid();
  readonly sandbox: SandboxId;
  /** Settles when it is over. */
  readonly over: Promise<void>;
  readonly #shell: EngineTerminal;
  readonly #bounds: TerminalBounds;
  readonly #viewers = new Set<Viewer>();
  readonly #recent: Buffer[] = [];
  #recentBytes = 0;
  #isOver = false;
  #because: TerminalEnd["because"] = "exit";
  #unwatched: NodeJS.Timeout | undefined;
  #untouched: NodeJS.Timeout | undefined;

  constructor(sandbox: SandboxId, shell: EngineTerminal, exec: Exec, stop: AbortSignal, bounds: TerminalBounds) {
    this.sandbox = sandbox;
    this.#shell = shell;
    this.#bounds = bounds;
    stop.addEventListener("abort", () => this.end("stop"), { once: true });
    this.over = this.#run().finally(() => {
      this.#isOver = true;
      clearTimeout(this.#unwatched);
      clearTimeout(this.#untouched);
      exec.over();
    });
    if (stop.aborted) this.end("stop");
    this.#watchViewers();
    this.#touch();
  }

  /** Shows it to somebody, from what it has shown lately on. Returns what ends that. */
  attach(viewer: Viewer): () => void {
    this.#viewers.add(viewer);
    if (this.#recentBytes > 0) void viewer.show(Buffer.concat(this.#recent)).catch(() => {});
    this.#watchViewers();
    return () => {
      this.#viewers.delete(viewer);
      this.#watchViewers();
    };
  }

  type(bytes: Buffer): Promise<void> {
    this.#touch();
    return this.#shell.write(bytes);
  }

  resize(size: TerminalSize): Promise<void> {
    return this.#shell.resize(size);
  }

  end(because: TerminalEnd["because"]): void {
    this.#because = because;
    void this.#shell.end();
  }

  async #run(): Promise<void> {
    try {
      for await (const bytes of this.#shell.output) await this.#show(bytes);
    } catch {
      // The engine has lost it: that is its end.
    }
    const exit = await this.#shell.exit;
    for (const viewer of this.#viewers) viewer.end({ because: this.#because, exit });
  }

  async #show(bytes: Buffer): Promise<void> {
    this.#recent.push(bytes);
    this.#recentBytes += bytes.length;
    while (this.#recentBytes - this.#recent[0]!.length >= mostRecentBytes) {
      this.#recentBytes -= this.#recent.shift()!.length;
    }
    await Promise.all(Array.from(this.#viewers, (viewer) => this.#showTo(viewer, bytes)));
  }

  async #showTo(viewer: Viewer, bytes: Buffer): Promise<void> {
    const patience = new AbortController();
    const late = delay(slowViewerMs, "late", { signal: patience.signal });
    const taken = viewer.show(bytes).catch(() => "late");
    const outcome = await Promise.race([taken, late]);
    patience.abort();
    late.catch(() => {});
    if (outcome !== "late") return;
    this.#viewers.delete(viewer);
    viewer.drop();
    this.#watchViewers();
  }

  #watchViewers(): void {
    clearTimeout(this.#unwatched);
    if (this.#viewers.size > 0 || this.#isOver) return;
    this.#unwatched = setTimeout(() => this.end("idle"), this.#bounds.unwatchedMs);
  }

  #touch(): void {
    clearTimeout(this.#untouched);
    if (this.#isOver) return;
    this.#untouched = setTimeout(() => this.end("idle"), this.#bounds.untouchedMs);
  }
}
