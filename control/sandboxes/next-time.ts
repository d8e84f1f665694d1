import { nextTime } from "./schedule.ts";

/** How far ahead is looked at once; what comes later is found later. */
const lookAheadMs = 7 * 24 * 60 * 60_000;

/** The next time that cron expressions name, however far ahead it is. */
export class NextTime {
  readonly #expressions: readonly string[];
  readonly #timezone: string;
  #lookedFrom: number;
  #at: number | undefined;

  /** Looks for the first time after `since`, epoch milliseconds. */
  constructor(expressions: readonly string[], timezone: string, since: number) {
    this.#expressions = expressions;
    this.#timezone = timezone;
    this.#lookedFrom = since;
    this.#look(since);
  }

  /** null: not within the week that was looked at. */
  get at(): number | null {
    return this.#at ?? null;
  }

  /** Whether the time has come; then the one after now is next. */
  isDue(now: number): boolean {
    while (this.#at === undefined && now >= this.#lookedFrom + lookAheadMs) this.#look(this.#lookedFrom + lookAheadMs);
    if (this.#at === undefined || now < this.#at) return false;
    this.#look(now);
    return true;
  }

  #look(from: number): void {
    this.#lookedFrom = from;
    this.#at = nextTime(this.#expressions, this.#timezone, from);
  }
}
