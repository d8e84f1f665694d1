import type { RefusalReport } from "#contract/access.ts";
import { addressBlock } from "../access/address-block.ts";
import type { AuditEntry, AuditFilter, AuditStore, RecordedAudit } from "../sqlite/audit-store.ts";

/** Refusals of one address are recorded one by one up to so many a minute, and counted past that. */
const refusalsPerMinute = 30;
const minuteMs = 60_000;
const mostBlocks = 10_000;

type Window = { begunAt: number; recorded: number; passedOver: number };

/** Who did what. Whoever is refused again and again fills nobody's disk by it. */
export class AuditLog {
  readonly #store: AuditStore;
  readonly #now: () => number;
  readonly #windows = new Map<string, Window>();

  constructor(store: AuditStore, now: () => number) {
    this.#store = store;
    this.#now = now;
  }

  /** False when it was merely counted. */
  record(entry: AuditEntry): boolean {
    const admitted = entry.outcome === "refused" ? this.#admit(entry) : entry;
    if (admitted !== undefined) this.#store.append([admitted], this.#now());
    return admitted !== undefined;
  }

  /** What a gateway worker turned away at private previews. */
  recordPreviewRefusals({ refusals }: RefusalReport): void {
    const entries = refusals.flatMap(({ id, reason, place, class: kind, address, count }) => {
      const detail = { reason, credential: place, class: kind, count };
      const actor = { actorKind: "visitor", actorName: "visitor", ip: address };
      return this.#admit({ ...actor, action: "preview.open", target: id, outcome: "refused", detail }) ?? [];
    });
    if (entries.length > 0) this.#store.append(entries, this.#now());
  }

  /** The newest first. */
  list(filter: AuditFilter): RecordedAudit[] {
    return this.#store.list(filter);
  }

  prune(before: number): void {
    this.#store.prune(before);
  }

  #admit(entry: AuditEntry): AuditEntry | undefined {
    const window = this.#window(addressBlock(entry.ip ?? ""));
    if (window.recorded >= refusalsPerMinute) {
      window.passedOver++;
      return undefined;
    }
    window.recorded++;
    const { passedOver } = window;
    window.passedOver = 0;
    return passedOver === 0 ? entry : { ...entry, detail: { ...entry.detail, passed_over: passedOver } };
  }

  #window(block: string): Window {
    const now = this.#now();
    const known = this.#windows.get(block);
    if (known !== undefined && now - known.begunAt < minuteMs) return known;
    if (this.#windows.size >= mostBlocks) this.#windows.delete(this.#windows.keys().next().value!);
    const window = { begunAt: now, recorded: 0, passedOver: known?.passedOver ?? 0 };
    this.#windows.set(block, window);
    return window;
  }
}
