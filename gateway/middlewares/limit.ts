import type { SandboxId } from "#contract/sandbox-id.ts";
import type { ActivityLedger } from "../activity.ts";
import type { Middleware } from "../exchange.ts";
import type { Refuser } from "../refuse.ts";

export type LimitOptions = {
  readonly ledger: ActivityLedger;
  readonly refuser: Refuser;
  /** The most open at once, of one sandbox in one worker. */
  readonly requestsPerSandbox: number;
  readonly socketsPerSandbox: number;
  /** Requests a second of one sandbox in one worker, on average; 0: no limit. As many may come at once. */
  readonly requestsPerSecond: number;
  /** Milliseconds of a clock that never goes back. */
  readonly now?: () => number;
};

/** Bounds what one sandbox's clients may take of a worker, so that the others' do not notice. */
export function limit(options: LimitOptions): Middleware {
  const { ledger, refuser, requestsPerSandbox, socketsPerSandbox, requestsPerSecond } = options;
  const rates =
    requestsPerSecond > 0 ? new Rates(requestsPerSecond, options.now ?? (() => performance.now())) : undefined;
  return (next) => (exchange) => {
    const { id } = exchange.target!;
    const open = ledger.openOf(id);
    const isFull =
      exchange.upgrade === undefined ? open.requests >= requestsPerSandbox : open.sockets >= socketsPerSandbox;
    const retryAfterSeconds = isFull ? 1 : (rates?.take(id) ?? 0);
    if (retryAfterSeconds > 0) return refuser.refuse(exchange, "too_many_requests", { retryAfterSeconds });
    next(exchange);
  };
}

type Bucket = { tokens: number; filledAt: number };

/** A token bucket per sandbox, a second deep. */
class Rates {
  readonly #perSecond: number;
  readonly #now: () => number;
  readonly #buckets = new Map<SandboxId, Bucket>();
  #sweptAt: number;

  constructor(perSecond: number, now: () => number) {
    this.#perSecond = perSecond;
    this.#now = now;
    this.#sweptAt = now();
  }

  /** 0 when the request may pass, else the whole seconds after which it may. */
  take(id: SandboxId): number {
    const now = this.#now();
    this.#sweep(now);
    const bucket = this.#buckets.get(id) ?? { tokens: this.#perSecond, filledAt: now };
    bucket.tokens = Math.min(this.#perSecond, bucket.tokens + ((now - bucket.filledAt) / 1000) * this.#perSecond);
    bucket.filledAt = now;
    this.#buckets.set(id, bucket);
    if (bucket.tokens < 1) return Math.ceil((1 - bucket.tokens) / this.#perSecond);
    bucket.tokens--;
    return 0;
  }

  /** A bucket that would be full again says nothing. */
  #sweep(now: number): void {
    if (now - this.#sweptAt < 10_000) return;
    this.#sweptAt = now;
    for (const [id, { filledAt }] of this.#buckets) if (now - filledAt >= 1000) this.#buckets.delete(id);
  }
}
