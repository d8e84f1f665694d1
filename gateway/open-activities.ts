import type { ExchangeActivity } from "./exchange.ts";

/**
 * What is open of one sandbox, in no order. Not a Set: one that takes in and lets go all the time leaves a chain of its old
 * tables behind, and once the oldest of them has grown old, young collections keep all that the others name.
 */
export class OpenActivities {
  readonly #activities: ExchangeActivity[] = [];

  get size(): number {
    return this.#activities.length;
  }

  add(activity: ExchangeActivity): void {
    activity.place = this.#activities.length;
    this.#activities.push(activity);
  }

  /** False when it is not among them. */
  delete(activity: ExchangeActivity): boolean {
    const { place } = activity;
    if (place === undefined || this.#activities[place] !== activity) return false;
    const last = this.#activities.pop()!;
    last.place = place;
    if (last !== activity) this.#activities[place] = last;
    return true;
  }

  /** Those that are open now, whatever is added or deleted meanwhile. */
  [Symbol.iterator](): IterableIterator<ExchangeActivity> {
    return [...this.#activities].values();
  }
}
