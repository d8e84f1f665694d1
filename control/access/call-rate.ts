type Bucket = { left: number; filledAt: number };

/** A bucket per name that holds two seconds' worth of calls, so that a burst is no offence. */
export class CallRate {
  readonly #perSecond: number;
  readonly #now: () => number;
  readonly #buckets = new Map<string, Bucket>();

  /** `perSecond` 0: no limit. `now` in milliseconds. */
  constructor(perSecond: number, now: () => number) {
    this.#perSecond = perSecond;
    this.#now = now;
  }

  /** 0 when the call may be made, else the whole seconds after which it may. */
  take(name: string): number {
    if (this.#perSecond === 0) return 0;
    const most = this.#perSecond * 2;
    const now = this.#now();
    const bucket = this.#buckets.get(name) ?? { left: most, filledAt: now };
    bucket.left = Math.min(most, bucket.left + ((now - bucket.filledAt) / 1000) * this.#perSecond);
    bucket.filledAt = now;
    this.#buckets.set(name, bucket);
    if (bucket.left < 1) return Math.ceil((1 - bucket.left) / this.#perSecond);
    bucket.left--;
    return 0;
  }
}
