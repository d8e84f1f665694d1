import type { LogLine } from "./sandbox-engine.ts";

const mostLines = 2_000;
const mostCharacters = 4 * 1024 * 1024;

/** The last lines of a sandbox's log in memory, 2,000 or 4 Mi characters of them, and those who follow it. */
export class LogRing {
  #lines: LogLine[] = [];
  #characters = 0;
  readonly #followers = new Set<Follower>();
  #closed = false;

  push(lines: readonly LogLine[]): void {
    for (const line of lines) {
      this.#lines.push(line);
      this.#characters += line.line.length;
      for (const follower of this.#followers) follower.push(line);
    }
    this.#drop();
  }

  /** The last `tail` lines, then with `follow` each new one until the signal aborts or the ring is closed. */
  async *read(options: { tail?: number; follow?: boolean; signal?: AbortSignal }): AsyncGenerator<LogLine> {
    const { tail = mostLines, follow = false, signal } = options;
    const kept = tail === 0 ? [] : this.#lines.slice(-tail);
    if (!follow || this.#closed) {
      yield* kept;
      return;
    }
    const follower = new Follower(kept);
    const end = () => follower.end();
    signal?.addEventListener("abort", end, { once: true });
    if (signal?.aborted) end();
    this.#followers.add(follower);
    try {
      yield* follower;
    } finally {
      this.#followers.delete(follower);
      signal?.removeEventListener("abort", end);
    }
  }

  /** Ends every follower once it has had what there is. */
  close(): void {
    this.#closed = true;
    for (const follower of this.#followers) follower.end();
  }

  #drop(): void {
    let drop = Math.max(0, this.#lines.length - mostLines);
    for (let index = 0; index < this.#lines.length - 1; index++) {
      if (index >= drop && this.#characters <= mostCharacters) break;
      this.#characters -= this.#lines[index]!.line.length;
      drop = Math.max(drop, index + 1);
    }
    if (drop > 0) this.#lines = this.#lines.slice(drop);
  }
}

/** One reader's queue. A reader that does not keep up loses the oldest lines, as it would from the ring. */
class Follower {
  #queue: LogLine[];
  #ended = false;
  #wake: () => void = () => {};

  constructor(first: readonly LogLine[]) {
    this.#queue = [...first];
  }

  push(line: LogLine): void {
    if (this.#queue.length >= mostLines) this.#queue.shift();
    this.#queue.push(line);
    this.#wake();
  }

  end(): void {
    this.#ended = true;
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<LogLine> {
    for (;;) {
      const lines = this.#queue;
      this.#queue = [];
      yield* lines;
      if (this.#queue.length > 0) continue;
      if (this.#ended) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
