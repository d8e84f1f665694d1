import { EventEmitter } from "node:events";
import type { RefusalCode } from "#contract/error-codes.ts";
import type { Route, WakeRequest } from "#contract/gateway-api.ts";
import type { SandboxId } from "#contract/sandbox-id.ts";
import type { RefusalDetails } from "./refuse.ts";

export type Ready =
  | { readonly kind: "ready"; readonly route: Route }
  | { readonly kind: "refused"; readonly code: RefusalCode; readonly details: RefusalDetails };

/** What a wait is at: for the waking page, and for what to say when the wait ends without an answer. */
export type Phase = "starting" | "waiting_for_port" | "control_away";

/** One wait for one port, shared by all who take part. Emits `phase`. */
export class PortWait extends EventEmitter<{ phase: [Phase] }> {
  readonly id: SandboxId;
  readonly port: number;
  /** The request that began the wait, for the record. */
  readonly asker: WakeRequest;
  readonly outcome: Promise<Ready>;
  listeningPorts: readonly number[] | undefined;
  #phase: Phase = "starting";
  #participants = 0;
  #watchers = 0;
  readonly #abandoned = new AbortController();
  readonly #settled = Promise.withResolvers<Ready>();

  constructor(id: SandboxId, port: number, asker: WakeRequest) {
    super();
    this.setMaxListeners(0);
    this.id = id;
    this.port = port;
    this.asker = asker;
    this.outcome = this.#settled.promise;
  }

  get phase(): Phase {
    return this.#phase;
  }

  get participants(): number {
    return this.#participants;
  }

  /** Whether somebody takes part whose request may wake the sandbox. */
  get mayWake(): boolean {
    return this.#participants > this.#watchers;
  }

  /** Aborts when the last participant left. */
  get left(): AbortSignal {
    return this.#abandoned.signal;
  }

  enterPhase(phase: Phase): void {
    if (this.#phase === phase) return;
    this.#phase = phase;
    this.emit("phase", phase);
  }

  enter(watching: boolean): void {
    this.#participants++;
    if (watching) this.#watchers++;
  }

  leave({ watching = false } = {}): void {
    this.#participants--;
    if (watching) this.#watchers--;
    if (this.#participants === 0) this.#abandoned.abort();
  }

  settle(outcome: Ready): void {
    this.#settled.resolve(outcome);
  }
}
