import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";

/** Work that is done again and again, never twice at the same time. A failure is logged and the next turn comes anyway. */
export class Loops {
  readonly #logger: Logger;
  readonly #closing = new AbortController();
  readonly #running = new Set<Promise<void>>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Does the work so many milliseconds after each end of it. */
  every(name: string, milliseconds: number, work: () => Promise<void>): void {
    this.#track(this.#repeat(name, milliseconds, work));
  }

  /** Does the work at once, and when it fails in the background until it succeeds. */
  async untilDone(name: string, retryMs: number, work: () => Promise<void>): Promise<void> {
    if (await this.#attempt(name, work)) return;
    this.#track(this.#retry(name, retryMs, work));
  }

  /** Resolves when the work in progress has ended. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all(this.#running);
  }

  #track(loop: Promise<void>): void {
    this.#running.add(loop);
    void loop.then(() => this.#running.delete(loop));
  }

  async #repeat(name: string, milliseconds: number, work: () => Promise<void>): Promise<void> {
    while (await this.#pause(milliseconds)) await this.#attempt(name, work);
  }

  async #retry(name: string, milliseconds: number, work: () => Promise<void>): Promise<void> {
    while ((await this.#pause(milliseconds)) && !(await this.#attempt(name, work)));
  }

  async #pause(milliseconds: number): Promise<boolean> {
    await delay(milliseconds, undefined, { signal: this.#closing.signal }).catch(() => {});
    return !this.#closing.signal.aborted;
  }

  async #attempt(name: string, work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      this.#logger.error({ err: error, loop: name }, "a loop's turn failed");
      return false;
    }
  }
}
