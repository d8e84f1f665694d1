import type { ActivityLedger } from "./activity.ts";

export type IdleBounds = {
  readonly headTimeoutSeconds: number;
  readonly bodyIdleSeconds: number;
  /** WebSockets without a data frame for so long are ended. */
  readonly socketIdleSeconds: number;
};

const lookEveryMs = 500;

/**
 * Ends what stands still for too long, by a look at all that is open, twice a second: to set timers for every request, as the
 * HTTP client would, costs more than whatever else is done for it. Disposing of it ends the looking.
 */
export function watchIdle(ledger: ActivityLedger, bounds: IdleBounds): Disposable {
  const requestMs = Math.min(bounds.headTimeoutSeconds, bounds.bodyIdleSeconds) * 1000;
  const socketMs = bounds.socketIdleSeconds * 1000;
  const timer = setInterval(() => {
    const now = Date.now();
    for (const activity of ledger.idleSince(now - requestMs, false)) activity.standsStill?.(now - activity.lastDataAt);
    for (const activity of ledger.idleSince(now - socketMs, true)) activity.end?.();
  }, lookEveryMs);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
