const firstMs = 1_000;
const longestMs = 30_000;
/** A run of so long was no failure to start. */
const goodRunMs = 10_000;

/** How long to wait before an app that ended is started again: 1 s, doubling to 30 s, and anew after a run of 10 s. */
export class BackOff {
  #nextMs = firstMs;

  /** Milliseconds to wait after a run of so many milliseconds. */
  after(ranMs: number): number {
    if (ranMs >= goodRunMs) this.#nextMs = firstMs;
    const waitMs = this.#nextMs;
    this.#nextMs = Math.min(2 * waitMs, longestMs);
    return waitMs;
  }
}
