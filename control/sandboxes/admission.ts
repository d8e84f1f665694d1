import { EventEmitter } from "node:events";
import type { WakeRefusal } from "#contract/gateway-api.ts";
import type { SandboxId } from "#contract/sandbox-id.ts";
import { FairQueue } from "./fair-queue.ts";
import type { MemoryWatch } from "./memory-watch.ts";

export type AdmissionOptions = {
  readonly memory: MemoryWatch;
  /** Stops what can be stopped to make room. */
  readonly relieve: () => Promise<void>;
  /** More starts at once only slow each other down. */
  readonly mostStarts: number;
  readonly mostQueuedPerOwner?: number;
  readonly patienceMs?: number;
};

export type Admitted =
  /** `release` says that the start is over. */
  | { readonly admitted: true; readonly release: () => void }
  | { readonly admitted: false; readonly refusal: WakeRefusal };

type Entry = { readonly id: SandboxId; readonly settle: (admitted: Admitted) => void };

const defaultMostQueuedPerOwner = 100;
const defaultPatienceMs = 30_000;
const retryAfterSeconds = 30;
/** How often memory is looked at for those who wait. */
const lookMs = 500;

/**
 * Lets starts through as far as the machine's memory goes, each with what a start costs as long as it is under way. The
 * others wait in a bounded queue that is fair to every owner. Emits `moved` with the id of a sandbox whose place in the
 * queue changed.
 */
export class Admission extends EventEmitter<{ moved: [SandboxId] }> {
  readonly #memory: MemoryWatch;
  readonly #relieve: () => Promise<void>;
  readonly #mostStarts: number;
  readonly #patienceMs: number;
  readonly #queue: FairQueue<Entry>;
  #positions = new Map<SandboxId, number>();
  #underWay = 0;
  #relieving: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: AdmissionOptions) {
    super();
    this.setMaxListeners(0);
    this.#memory = options.memory;
    this.#relieve = options.relieve;
    this.#mostStarts = options.mostStarts;
    this.#patienceMs = options.patienceMs ?? defaultPatienceMs;
    this.#queue = new FairQueue(options.mostQueuedPerOwner ?? defaultMostQueuedPerOwner);
  }

  get queued(): number {
    return this.#queue.size;
  }

  /** The place of a sandbox in the queue, from 1; undefined when it does not wait. */
  positionOf(id: SandboxId): number | undefined {
    return this.#positions.get(id);
  }

  /**
   * Asks for leave to start a sandbox: at once when there is room and nobody waits, else after one turn of stopping
   * what can be stopped, else from the queue. The signal takes it out of the queue.
   */
  async enter(id: SandboxId, owner: string | null, signal?: AbortSignal): Promise<Admitted> {
    if (this.#queue.size === 0 && this.#hasRoom()) return this.#grant();
    if (this.#underWay < this.#mostStarts) await this.relieve();
    if (signal?.aborted || this.#closed) return calledOff;
    if (this.#queue.size === 0 && this.#hasRoom()) return this.#grant();
    if (this.#memory.refusesWakes) return { admitted: false, refusal: this.#lowMemory() };
    return this.#wait(id, owner, signal);
  }

  /** Has room made, once for all who ask meanwhile. */
  relieve(): Promise<void> {
    this.#relieving ??= this.#relieve().finally(() => {
      this.#relieving = undefined;
      this.serve();
    });
    return this.#relieving;
  }

  /** Lets in whoever waits and has room now. */
  serve(): void {
    while (this.#queue.size > 0 && this.#hasRoom()) this.#queue.next()!.settle(this.#grant());
    this.#tellPositions();
  }

  /** Takes a sandbox out of the queue: it is removed. */
  cancel(id: SandboxId): void {
    for (const entry of this.#queue) if (entry.id === id) entry.settle(calledOff);
  }

  /** Empties the queue and lets nobody wait any more: control stops. */
  close(): void {
    this.#closed = true;
    for (const { settle } of this.#queue) settle(calledOff);
  }

  #hasRoom(): boolean {
    return this.#underWay < this.#mostStarts && this.#memory.hasRoomFor(this.#underWay + 1);
  }

  #grant(): Admitted {
    this.#underWay++;
    let released = false;
    const release = () => {
      if (released) return;
      released = true;
      this.#underWay--;
      if (this.#queue.size > 0) this.serve();
    };
    return { admitted: true, release };
  }

  async #wait(id: SandboxId, owner: string | null, signal: AbortSignal | undefined): Promise<Admitted> {
    const { promise, resolve } = Promise.withResolvers<Admitted>();
    const entry: Entry = { id, settle: resolve };
    if (!this.#queue.enter(owner, entry)) return { admitted: false, refusal: this.#queueFull() };
    const onAbort = () => resolve(calledOff);
    signal?.addEventListener("abort", onAbort, { once: true });
    const patience = setTimeout(() => resolve({ admitted: false, refusal: this.#waitedTooLong(id) }), this.#patienceMs);
    this.#timer ??= setInterval(() => this.serve(), lookMs);
    this.#tellPositions();
    try {
      return await promise;
    } finally {
      clearTimeout(patience);
      signal?.removeEventListener("abort", onAbort);
      this.#queue.leave(entry);
      this.#tellPositions();
    }
  }

  #tellPositions(): void {
    const before = this.#positions;
    this.#positions = new Map(Array.from(this.#queue, ({ id }, index) => [id, index + 1]));
    for (const [id, position] of this.#positions) if (before.get(id) !== position) this.emit("moved", id);
    for (const id of before.keys()) if (!this.#positions.has(id)) this.emit("moved", id);
    if (this.#positions.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #waitedTooLong(id: SandboxId): WakeRefusal {
    const refusal = this.#lowMemory(this.positionOf(id));
    if (!this.#memory.hasRoomFor(1)) return refusal;
    return { ...refusal, code: "queue_full", message: "Too many sandboxes are being started" };
  }

  #lowMemory(queuePosition?: number): WakeRefusal {
    const memAvailablePercent = this.#memory.availablePercent();
    return {
      code: "low_memory",
      message: "This machine is low on memory",
      retryAfterSeconds,
      ...(memAvailablePercent !== undefined && { memAvailablePercent }),
      ...(queuePosition !== undefined && { queuePosition }),
    };
  }

  #queueFull(): WakeRefusal {
    const message = "Too many sandboxes of this owner wait to be started";
    return { ...this.#lowMemory(), code: "queue_full", message };
  }
}

const calledOff: Admitted = {
  admitted: false,
  refusal: { code: "engine_unavailable", message: "The wake was called off", retryAfterSeconds: 1 },
};
