import { EventEmitter } from "node:events";

/** Remembers workers over a crash of control. */
export type RememberedWorkers = { ids(): readonly string[]; add(id: string): void; remove(id: string): void };

/** A worker that was not heard of for so long holds no connections any more. */
export const workerLeaseMs = 10_000;

type Worker = { streams: Set<() => void>; heardAt: number; timer: NodeJS.Timeout | undefined };

/**
 * Which gateway workers there are. A worker lives while its routes stream is open and until its lease after the last
 * sign of it ends: until then it may have connections that nobody else knows of. The workers that an earlier control knew
 * have that time to come back. Emits `silent` with its id when its stream ends, and `gone` after its lease.
 */
export class GatewayWorkers extends EventEmitter<{ silent: [string]; gone: [string] }> {
  readonly #workers = new Map<string, Worker>();
  readonly #remembered: RememberedWorkers;
  readonly #leaseMs: number;
  /** Before this time not all is known of what workers saw that an earlier control knew. */
  readonly knownFrom: number;

  constructor(remembered: RememberedWorkers, { leaseMs = workerLeaseMs }: { leaseMs?: number } = {}) {
    super();
    this.setMaxListeners(0);
    this.#remembered = remembered;
    this.#leaseMs = leaseMs;
    this.knownFrom = Date.now() + leaseMs;
    for (const id of remembered.ids()) this.hear(id);
  }

  get leaseMs(): number {
    return this.#leaseMs;
  }

  get live(): readonly string[] {
    return [...this.#workers.keys()];
  }

  /** Those that hear of changes now. */
  get connected(): readonly string[] {
    return this.live.filter((id) => this.#workers.get(id)!.streams.size > 0);
  }

  isLive(id: string): boolean {
    return this.#workers.has(id);
  }

  /** Whether some worker lost its stream and may have things open that nobody else knows of. */
  get someSilent(): boolean {
    for (const { streams } of this.#workers.values()) if (streams.size === 0) return true;
    return false;
  }

  /** A worker opened its routes stream; `cut` ends it. Returns what to call when the stream is over. */
  connect(id: string, cut: () => void): () => void {
    const worker = this.hear(id);
    worker.streams.add(cut);
    return () => {
      if (!worker.streams.delete(cut) || worker.streams.size > 0) return;
      worker.heardAt = Date.now();
      this.#watchLease(id, worker);
      this.emit("silent", id);
    };
  }

  /** A worker gave a sign of life. */
  hear(id: string): Worker {
    let worker = this.#workers.get(id);
    if (worker === undefined) {
      this.#remembered.add(id);
      worker = { streams: new Set(), heardAt: 0, timer: undefined };
      this.#workers.set(id, worker);
      this.#watchLease(id, worker);
    }
    worker.heardAt = Date.now();
    return worker;
  }

  /** Ends the streams of a worker that does not answer: a live one comes back, and the lease of another one runs out. */
  cut(id: string): void {
    for (const cut of this.#workers.get(id)?.streams ?? []) cut();
  }

  close(): void {
    for (const { timer } of this.#workers.values()) clearTimeout(timer);
    this.#workers.clear();
  }

  #watchLease(id: string, worker: Worker): void {
    clearTimeout(worker.timer);
    if (this.#workers.get(id) !== worker) return;
    const left = Math.max(0, (worker.heardAt || Date.now()) + this.#leaseMs - Date.now());
    worker.timer = setTimeout(() => this.#checkLease(id, worker), left);
  }

  #checkLease(id: string, worker: Worker): void {
    if (worker.streams.size > 0 || this.#workers.get(id) !== worker) return;
    if (Date.now() - worker.heardAt < this.#leaseMs) return this.#watchLease(id, worker);
    this.#workers.delete(id);
    this.#remembered.remove(id);
    this.emit("gone", id);
  }
}
