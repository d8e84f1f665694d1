import { setTimeout as delay } from "node:timers/promises";
import { addressBlock } from "./address-block.ts";

type Record = { failures: number; lastAt: number; waiting: number };

/** An address may be wrong so often before it is made to wait, and is forgiven after so long. */
const freeFailures = 5;
const forgivenAfterMs = 60_000;
const firstDelayMs = 100;
const longestDelayMs = 5_000;
/** So many of one address may wait at a time; the next ones are told to come back. */
const mostWaiting = 16;
const mostBlocks = 10_000;

/**
 * Slows down whoever guesses secrets: each wrong one of an address is answered later than the one before. Right ones are
 * never slowed down, so nobody locks others out.
 */
export class Guesses {
  readonly #now: () => number;
  readonly #pause: (milliseconds: number) => Promise<unknown>;
  readonly #byBlock = new Map<string, Record>();

  constructor(now: () => number, pause: (milliseconds: number) => Promise<unknown> = (ms) => delay(ms)) {
    this.#now = now;
    this.#pause = pause;
  }

  /** A wrong secret came from this address. Resolves when it may be answered; false: with 429 and not with 401. */
  async wrong(address: string): Promise<boolean> {
    const now = this.#now();
    const block = addressBlock(address);
    const known = this.#byBlock.get(block);
    const record = known !== undefined && now - known.lastAt < forgivenAfterMs ? known : this.#begin(block);
    record.failures++;
    record.lastAt = now;
    if (record.failures <= freeFailures) return true;
    if (record.waiting >= mostWaiting) return false;
    record.waiting++;
    await this.#pause(Math.min(longestDelayMs, firstDelayMs * 2 ** (record.failures - freeFailures - 1)));
    record.waiting--;
    return true;
  }

  #begin(block: string): Record {
    if (this.#byBlock.size >= mostBlocks) this.#byBlock.delete(this.#byBlock.keys().next().value!);
    const record = { failures: 0, lastAt: 0, waiting: 0 };
    this.#byBlock.set(block, record);
    return record;
  }
}
