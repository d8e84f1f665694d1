/** What a wake waits for, in this order. */
export const wakeWaits = ["lock", "admission", "prepare", "start"] as const;
export type WakeWait = (typeof wakeWaits)[number];

/** How long a wake spent with each of them; one that it had no need of takes no time. Milliseconds. */
export class WakeTimes {
  readonly #spent: Record<WakeWait, number> = { lock: 0, admission: 0, prepare: 0, start: 0 };

  add(wait: WakeWait, milliseconds: number): void {
    this.#spent[wait] += milliseconds;
  }

  /** Does some work and counts its time, however it ends. */
  async time<T>(wait: WakeWait, work: () => Promise<T>): Promise<T> {
    const begun = performance.now();
    try {
      return await work();
    } finally {
      this.add(wait, performance.now() - begun);
    }
  }

  spent(wait: WakeWait): number {
    return this.#spent[wait];
  }
}
