import { setTimeout as delay } from "node:timers/promises";

/** Resolves after so many milliseconds, or at once when the signal aborts. */
export function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return delay(milliseconds, undefined, { signal }).then(
    () => {},
    () => {},
  );
}
