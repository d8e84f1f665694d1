const minute = 60_000;
/** Let's Encrypt takes five failed validations an hour. */
const shortest = 5 * minute;
const longest = 6 * 60 * minute;
/** What a CA asks for is heeded up to a day: asking once a day harms nobody, and what was wrong may be mended. */
const longestAsked = 24 * 60 * minute;
const jitter = 0.2;

export type Failures = {
  /** In a row, this one included. */
  readonly count: number;
  /** What the CA asked for, in milliseconds. */
  readonly retryAfterMs: number | null;
  /** Drawn anew each time, from 0 to 1. */
  readonly fraction: number;
};

/** How long to wait after a failure, in milliseconds: twice as long each time, and never less than the CA asks for. */
export function retryDelay({ count, retryAfterMs, fraction }: Failures): number {
  const backoff = Math.min(shortest * 2 ** (count - 1), longest);
  return Math.max(backoff * (1 + jitter * fraction), Math.min(retryAfterMs ?? 0, longestAsked));
}

export type Waiting = {
  readonly lastAttemptAt: number;
  readonly retryAt: number;
  /** What the CA asked for; 0: nothing. */
  readonly askedUntil: number;
};

/**
 * When to try again after a start: soon, since what was wrong may have been mended, and yet no CA is asked each time that
 * a process dies.
 */
export function retryAfterStart({ lastAttemptAt, retryAt, askedUntil }: Waiting): number {
  return Math.min(retryAt, Math.max(lastAttemptAt + shortest, askedUntil));
}
