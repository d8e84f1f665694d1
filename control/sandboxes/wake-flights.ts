import type { WakeRefusal } from "#contract/gateway-api.ts";
import type { SandboxId } from "#contract/sandbox-id.ts";
import type { Sandbox } from "./sandbox.ts";

/** How a wake ended, for everyone who waited for it. */
export type WakeResult =
  | { readonly outcome: "ready"; readonly sandbox: Sandbox; readonly durationMs: number; readonly wasRunning: boolean }
  | { readonly outcome: "refused"; readonly refusal: WakeRefusal }
  | { readonly outcome: "timed-out" };

type Flight = { readonly result: Promise<WakeResult>; readonly controller: AbortController };

const stopping = { code: "engine_unavailable", message: "Control is stopping", retryAfterSeconds: 5 } as const;

/**
 * One wake per sandbox at a time. It belongs to the sandbox: whoever joins learns how it truly ended, and nobody who
 * leaves ends it. Only a removal and the end of control abort it.
 */
export class WakeFlights {
  readonly #flights = new Map<SandboxId, Flight>();
  readonly #deadlineMs: number;
  #closed = false;

  constructor(deadlineMs: number) {
    this.#deadlineMs = deadlineMs;
  }

  get closed(): boolean {
    return this.#closed;
  }

  isUnderWay(id: SandboxId): boolean {
    return this.#flights.has(id);
  }

  /** Joins the wake under way or begins one, and waits for it until the deadline. */
  async join(id: SandboxId, begin: (signal: AbortSignal) => Promise<WakeResult>): Promise<WakeResult> {
    let flight = this.#flights.get(id);
    if (flight === undefined) {
      if (this.#closed) return { outcome: "refused", refusal: stopping };
      const controller = new AbortController();
      flight = { controller, result: begin(controller.signal).finally(() => this.#flights.delete(id)) };
      this.#flights.set(id, flight);
    }
    return withDeadline(flight.result, this.#deadlineMs);
  }

  abort(id: SandboxId): void {
    this.#flights.get(id)?.controller.abort();
  }

  /** Calls every wake off and begins no other one: control stops. */
  close(): void {
    this.#closed = true;
    for (const { controller } of this.#flights.values()) controller.abort();
  }
}

function withDeadline(result: Promise<WakeResult>, milliseconds: number): Promise<WakeResult> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve({ outcome: "timed-out" }), milliseconds);
    result.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
