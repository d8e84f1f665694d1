import type { ActivityReport, RequestClass, SandboxActivity } from "#contract/gateway-api.ts";
import type { SandboxId } from "#contract/sandbox-id.ts";
import type { SandboxStore } from "../sqlite/sandbox-store.ts";
import type { Execs } from "./execs.ts";
import type { GatewayWorkers } from "./gateway-workers.ts";

type WorkerCounts = { sequence: number; open: Map<SandboxId, WorkerOpen> };
type WorkerOpen = { readonly requests: number; readonly sockets: number };
export type OpenCounts = WorkerOpen & {
  /** Commands that callers of the API run in it. */
  readonly execs: number;
};

/** A time in which requests of one class kept a sandbox awake. Epoch milliseconds. */
export type Extension = {
  readonly from: number;
  readonly to: number;
  /** undefined: a stream that goes on. */
  readonly class: RequestClass | undefined;
};

/** A use that follows so soon on another one of its class belongs to it. */
const sameUseMs = 60_000;
const keptExtensions = 20;

/**
 * What gateway workers see sandboxes do. Times go to the database, one transaction a report; what is open is kept by
 * worker, and a worker's counts stand until it says otherwise or is gone.
 */
export class ActivityLedger {
  readonly #store: SandboxStore;
  readonly #workers: GatewayWorkers;
  readonly #execs: Execs;
  readonly #counts = new Map<string, WorkerCounts>();
  readonly #extensions = new Map<SandboxId, readonly Extension[]>();
  /** The runs whose apps are known to have answered; every worker that waited tells so. */
  readonly #answered = new Map<SandboxId, number>();

  constructor(store: SandboxStore, workers: GatewayWorkers, execs: Execs) {
    this.#store = store;
    this.#workers = workers;
    this.#execs = execs;
    workers.on("gone", (id) => this.#counts.delete(id));
  }

  /** Takes a worker's report, which names everything that is open there; one that came late changes nothing. */
  take({ worker, sequence, sandboxes }: ActivityReport): void {
    this.#workers.hear(worker);
    const known = this.#counts.get(worker);
    if (known !== undefined && sequence <= known.sequence) return;
    const open = new Map<SandboxId, WorkerOpen>();
    for (const { id, openRequests, openSockets, lastActiveAt, lastClass } of sandboxes) {
      if (openRequests + openSockets > 0) open.set(id, { requests: openRequests, sockets: openSockets });
      if (lastActiveAt > 0) this.#extensions.set(id, extended(this.extensions(id), lastActiveAt, lastClass));
    }
    this.#counts.set(worker, { sequence, open });
    const marks = sandboxes.filter((each) => each.lastActiveAt > 0 || each.lastNavigationAt > 0 || each.answered);
    if (marks.length > 0) this.#store.markActive(marks.map((each) => ({ ...each, answered: this.#firstAnswer(each) })));
  }

  #firstAnswer({ id, answered }: SandboxActivity): SandboxActivity["answered"] {
    if (answered === undefined || this.#answered.get(id) === answered.run) return undefined;
    this.#answered.set(id, answered.run);
    return answered;
  }

  /** What is open at all workers together, of that which extends activity, and what runs by control itself. */
  open(id: SandboxId): OpenCounts {
    let requests = 0;
    let sockets = 0;
    for (const { open } of this.#counts.values()) {
      requests += open.get(id)?.requests ?? 0;
      sockets += open.get(id)?.sockets ?? 0;
    }
    return { requests, sockets, execs: this.#execs.count(id) };
  }

  /** What kept it awake lately, since control started; the newest last. */
  extensions(id: SandboxId): readonly Extension[] {
    return this.#extensions.get(id) ?? [];
  }

  forget(id: SandboxId): void {
    this.#extensions.delete(id);
    this.#answered.delete(id);
  }
}

function extended(before: readonly Extension[], to: number, requestClass: RequestClass | undefined): Extension[] {
  const last = before.at(-1);
  if (last === undefined || (to > last.to && (last.class !== requestClass || to - last.to > sameUseMs)))
    return [...before, { from: to, to, class: requestClass }].slice(-keptExtensions);
  return [...before.slice(0, -1), { ...last, to: Math.max(last.to, to) }];
}
