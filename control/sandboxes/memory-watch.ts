import { availablePercent, type HostMemory, type HostMemoryReader } from "../host-memory.ts";
import { type PressureRules, refusesWakes } from "./pressure.ts";

/** The machine's memory, and whether wakes are refused for it now. A machine that does not tell never refuses. */
export class MemoryWatch {
  readonly rules: PressureRules;
  readonly #read: HostMemoryReader;
  #refuses = false;

  constructor(rules: PressureRules, read: HostMemoryReader) {
    this.rules = rules;
    this.#read = read;
  }

  /** Reads anew. */
  look(): HostMemory | undefined {
    const memory = this.#read();
    this.#refuses = memory !== undefined && refusesWakes(memory, this.rules, this.#refuses);
    return memory;
  }

  /** Whether so many more sandboxes may start, by what a start costs. */
  hasRoomFor(starts: number): boolean {
    const memory = this.look();
    if (memory === undefined) return true;
    const after = memory.availableBytes - starts * this.rules.wakeCostBytes;
    return !this.#refuses && (after / memory.totalBytes) * 100 >= this.rules.refuseWakesPercent;
  }

  /** Whether wakes were refused at the last look. */
  get refusesWakes(): boolean {
    return this.#refuses;
  }

  /** In whole percent; undefined when nobody knows. */
  availablePercent(): number | undefined {
    const memory = this.look();
    return memory === undefined ? undefined : Math.floor(availablePercent(memory));
  }
}
