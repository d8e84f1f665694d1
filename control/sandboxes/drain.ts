import type { FenceReport } from "#contract/gateway-api.ts";
import type { SandboxId } from "#contract/sandbox-id.ts";
import type { GatewayWorkers } from "./gateway-workers.ts";

/**
 * Why a sandbox is being stopped. An idle stop gives way to anything that uses the sandbox; one that was asked for
 * gives what is open some time.
 */
export type DrainKind =
  | { readonly kind: "idle"; readonly isActive: (lastActiveAt: number) => boolean }
  | {
      readonly kind: "asked";
      readonly milliseconds: number;
      /** Waits only for workers that can hear of it: everything ends together. */
      readonly shutdown?: boolean;
    };

/** `clear`: nothing is open. `time-up`: something is, and its time is over. `cancelled`: the sandbox stays awake. */
export type DrainVerdict = "clear" | "time-up" | "cancelled";

/**
 * Waits behind the fence: every worker that was live when the sandbox began to drain says what it let through before.
 * A worker that does not answer counts as one with something open.
 */
export class Drain {
  readonly id: SandboxId;
  readonly kind: DrainKind["kind"];
  readonly verdict: Promise<DrainVerdict>;
  readonly #generation: number;
  readonly #purpose: DrainKind;
  readonly #workers: GatewayWorkers;
  readonly #unanswered: Set<string>;
  readonly #open = new Map<string, number>();
  readonly #settled = Promise.withResolvers<DrainVerdict>();
  readonly #timer: NodeJS.Timeout;
  readonly #onGone = (worker: string) => this.#forget(worker);

  constructor(id: SandboxId, generation: number, purpose: DrainKind, workers: GatewayWorkers) {
    this.id = id;
    this.kind = purpose.kind;
    this.#generation = generation;
    this.#purpose = purpose;
    this.#workers = workers;
    const isShutdown = purpose.kind === "asked" && purpose.shutdown === true;
    this.#unanswered = new Set(isShutdown ? workers.connected : workers.live);
    this.verdict = this.#settled.promise.finally(() => this.#end());
    this.#timer = setTimeout(() => this.#timeUp(), purpose.kind === "idle" ? workers.leaseMs : purpose.milliseconds);
    workers.on(isShutdown ? "silent" : "gone", this.#onGone);
    this.#evaluate();
  }

  acknowledge(report: FenceReport): void {
    // A patch meanwhile makes a later generation; an earlier one belongs to an earlier drain.
    if (report.generation < this.#generation) return;
    this.#unanswered.delete(report.worker);
    this.#open.set(report.worker, report.openRequests + report.openSockets);
    if (this.#purpose.kind === "idle" && (report.keepsAwake > 0 || this.#purpose.isActive(report.lastActiveAt))) {
      return this.#settled.resolve("cancelled");
    }
    this.#evaluate();
  }

  /** Somebody wants the sandbox: an idle stop is not worth a cold start. Returns whether the stop gave way. */
  giveWay(): boolean {
    if (this.#purpose.kind === "asked") return false;
    this.#settled.resolve("cancelled");
    return true;
  }

  /** Waits no longer: the sandbox is removed, or control stops. */
  hurry(): void {
    this.#settled.resolve("time-up");
  }

  #forget(worker: string): void {
    if (this.#purpose.kind === "idle" && this.#unanswered.has(worker)) return this.#settled.resolve("cancelled");
    this.#unanswered.delete(worker);
    this.#open.delete(worker);
    this.#evaluate();
  }

  #evaluate(): void {
    if (this.#unanswered.size > 0) return;
    // What is open at an idle stop and keeps nothing awake, such as a hot-reload socket, ends with it.
    if (this.#purpose.kind === "idle" || this.#open.values().every((count) => count === 0)) {
      this.#settled.resolve("clear");
    }
  }

  #timeUp(): void {
    const wholeLease = this.#purpose.kind === "idle" || this.#purpose.milliseconds >= this.#workers.leaseMs;
    if (wholeLease) for (const worker of this.#unanswered) this.#workers.cut(worker);
    this.#settled.resolve(this.#purpose.kind === "idle" ? "cancelled" : "time-up");
  }

  #end(): void {
    clearTimeout(this.#timer);
    this.#workers.off("gone", this.#onGone).off("silent", this.#onGone);
  }
}

/** The drains under way, by sandbox. */
export class Drains {
  readonly #drains = new Map<SandboxId, Drain>();
  readonly #workers: GatewayWorkers;

  constructor(workers: GatewayWorkers) {
    this.#workers = workers;
  }

  get(id: SandboxId): Drain | undefined {
    return this.#drains.get(id);
  }

  async run(id: SandboxId, generation: number, purpose: DrainKind): Promise<DrainVerdict> {
    const drain = new Drain(id, generation, purpose, this.#workers);
    this.#drains.set(id, drain);
    try {
      return await drain.verdict;
    } finally {
      this.#drains.delete(id);
    }
  }

  acknowledge(report: FenceReport): void {
    this.#workers.hear(report.worker);
    this.#drains.get(report.id)?.acknowledge(report);
  }

  /** Ends every wait, because control stops: whatever is idle can be stopped by the next one. */
  hurry(): void {
    for (const drain of this.#drains.values()) if (!drain.giveWay()) drain.hurry();
  }
}
