/** One lock per key: whoever holds it is alone with that key, the others wait in the order they came. */
export class KeyedLock<Key> {
  readonly #tails = new Map<Key, Promise<void>>();

  isHeld(key: Key): boolean {
    return this.#tails.has(key);
  }

  /** Runs `work` alone for this key; at once, in this very turn, when nobody holds it. */
  run<T>(key: Key, work: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key);
    const result = before === undefined ? start(work) : before.then(work);
    const tail = result.then(ignore, ignore);
    this.#tails.set(key, tail);
    void tail.then(() => {
      if (this.#tails.get(key) === tail) this.#tails.delete(key);
    });
    return result;
  }

  /** Resolves when everything that runs or waits now has ended. */
  async idle(): Promise<void> {
    await Promise.all(this.#tails.values());
  }
}

function ignore(): void {}

/** As `work()`, with a throw in its synchronous part turned into a rejection. */
async function start<T>(work: () => Promise<T>): Promise<T> {
  return await work();
}
