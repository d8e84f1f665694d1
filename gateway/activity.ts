import type { ActivityReport, FenceReport, RequestClass, SandboxActivity } from "#contract/gateway-api.ts";
import type { SandboxId } from "#contract/sandbox-id.ts";
import type { Exchange, ExchangeActivity, JoinedExchange } from "./exchange.ts";
import { OpenActivities } from "./open-activities.ts";

type Entry = {
  lastActiveAt: number;
  lastNavigationAt: number;
  lastClass: RequestClass | undefined;
  answered: SandboxActivity["answered"];
  requests: number;
  bytesIn: number;
  bytesOut: number;
  /** Something happened since the last report. */
  changed: boolean;
  readonly open: OpenActivities;
  openSockets: number;
};

const nothingOpen = { requests: 0, sockets: 0 };

export type OpenCounts = Pick<FenceReport, "openRequests" | "openSockets" | "keepsAwake" | "lastActiveAt">;

/**
 * What one gateway worker sees sandboxes do, counted as it happens. All times are epoch milliseconds of an injected
 * clock. An exchange that carried no data for `streamIdleMs` keeps nothing awake any more.
 */
export class ActivityLedger {
  readonly #worker: string;
  readonly #streamIdleMs: number;
  readonly #now: () => number;
  readonly #entries = new Map<SandboxId, Entry>();
  #sequence = 0;

  constructor(worker: string, streamIdleMs: number, now: () => number = Date.now) {
    this.#worker = worker;
    this.#streamIdleMs = streamIdleMs;
    this.#now = now;
  }

  /** Begins to count an exchange; `close` must follow. */
  open(exchange: Exchange, keepsAwake: boolean): ExchangeActivity {
    const now = this.#now();
    const { id } = exchange.target!;
    const entry = this.#entry(id);
    const activity: ExchangeActivity = {
      exchange,
      socket: exchange.upgrade !== undefined,
      extends: keepsAwake,
      lastDataAt: now,
      bytesIn: 0,
      bytesOut: 0,
      forwarded: false,
    };
    entry.open.add(activity);
    if (activity.socket) entry.openSockets++;
    entry.requests++;
    entry.changed = true;
    if (keepsAwake) {
      entry.lastActiveAt = now;
      entry.lastClass = exchange.class;
    }
    if (exchange.class === "navigation") entry.lastNavigationAt = now;
    return activity;
  }

  /** Notes when the app of a run first took a connection. */
  answered(id: SandboxId, answered: NonNullable<SandboxActivity["answered"]>): void {
    Object.assign(this.#entry(id), { answered, changed: true });
  }

  close(id: SandboxId, activity: ExchangeActivity): void {
    const entry = this.#entries.get(id);
    if (entry === undefined || !entry.open.delete(activity)) return;
    if (activity.socket) entry.openSockets--;
    collect(entry, activity);
    if (activity.extends) {
      const lastActiveAt = activity.socket ? activity.lastDataAt : this.#now();
      entry.lastActiveAt = Math.max(entry.lastActiveAt, lastActiveAt);
    }
    entry.changed = true;
  }

  /** Everything open of a sandbox, held requests included. */
  openOf(id: SandboxId): { readonly requests: number; readonly sockets: number } {
    const entry = this.#entries.get(id);
    if (entry === undefined) return nothingOpen;
    return { requests: entry.open.size - entry.openSockets, sockets: entry.openSockets };
  }

  /** What is open towards the app right now: what a fence has to wait for. */
  openCounts(id: SandboxId): OpenCounts {
    const entry = this.#entries.get(id);
    const counts = { openRequests: 0, openSockets: 0, keepsAwake: 0, lastActiveAt: entry?.lastActiveAt ?? 0 };
    const since = this.#now() - this.#streamIdleMs;
    for (const activity of entry?.open ?? []) {
      if (!activity.forwarded) continue;
      if (activity.socket) counts.openSockets++;
      else counts.openRequests++;
      if (activity.lastDataAt >= since && (activity.extends || !activity.socket)) counts.keepsAwake++;
      if (activity.extends) counts.lastActiveAt = Math.max(counts.lastActiveAt, activity.lastDataAt);
    }
    return counts;
  }

  /** Everything that changed since the last report, and whatever is open. */
  report(): ActivityReport {
    const since = this.#now() - this.#streamIdleMs;
    const sandboxes: SandboxActivity[] = [];
    for (const [id, entry] of this.#entries) {
      if (!entry.changed && entry.open.size === 0) {
        this.#entries.delete(id);
        continue;
      }
      sandboxes.push(summarise(id, entry, since));
    }
    return { worker: this.#worker, sequence: ++this.#sequence, sandboxes };
  }

  /** Takes a report back that did not arrive. */
  restore({ sandboxes }: ActivityReport): void {
    for (const lost of sandboxes) {
      const entry = this.#entry(lost.id);
      entry.lastActiveAt = Math.max(entry.lastActiveAt, lost.lastActiveAt);
      entry.lastNavigationAt = Math.max(entry.lastNavigationAt, lost.lastNavigationAt);
      entry.lastClass ??= lost.lastClass;
      entry.answered ??= lost.answered;
      entry.requests += lost.requests;
      entry.bytesIn += lost.bytesIn;
      entry.bytesOut += lost.bytesOut;
      entry.changed = true;
    }
  }

  /** Exchanges that carried no data since this time: sockets and requests apart, for whoever ends them. */
  *idleSince(time: number, sockets: boolean): Generator<ExchangeActivity> {
    for (const { open } of this.#entries.values()) {
      for (const activity of open) {
        if (activity.socket === sockets && activity.forwarded && activity.lastDataAt < time) yield activity;
      }
    }
  }

  /** What is open, held requests included: of one sandbox, or of all. */
  *openExchanges(id?: SandboxId): Generator<Exchange | JoinedExchange> {
    const entries = id === undefined ? this.#entries.values() : [this.#entries.get(id)];
    for (const entry of entries) for (const { exchange } of entry?.open ?? []) yield exchange;
  }

  #entry(id: SandboxId): Entry {
    let entry = this.#entries.get(id);
    if (entry === undefined) {
      const none = { lastActiveAt: 0, lastNavigationAt: 0, lastClass: undefined, answered: undefined };
      entry = {
        ...none,
        requests: 0,
        bytesIn: 0,
        bytesOut: 0,
        changed: false,
        open: new OpenActivities(),
        openSockets: 0,
      };
      this.#entries.set(id, entry);
    }
    return entry;
  }
}

function summarise(id: SandboxId, entry: Entry, since: number): SandboxActivity {
  let openRequests = 0;
  let openSockets = 0;
  for (const activity of entry.open) {
    collect(entry, activity);
    if (!activity.extends) continue;
    entry.lastActiveAt = Math.max(entry.lastActiveAt, activity.lastDataAt);
    if (activity.lastDataAt < since) continue;
    if (activity.socket) openSockets++;
    else openRequests++;
  }
  const { lastActiveAt, lastNavigationAt, lastClass, answered, requests, bytesIn, bytesOut } = entry;
  Object.assign(entry, { answered: undefined, requests: 0, bytesIn: 0, bytesOut: 0, changed: false });
  const counts = { openRequests, openSockets, requests, bytesIn, bytesOut };
  return {
    id,
    lastActiveAt,
    lastNavigationAt,
    ...(lastClass && { lastClass }),
    ...(answered && { answered }),
    ...counts,
  };
}

/** Moves an exchange's bytes into its sandbox's entry. */
function collect(entry: Entry, activity: ExchangeActivity): void {
  entry.bytesIn += activity.bytesIn;
  entry.bytesOut += activity.bytesOut;
  activity.bytesIn = 0;
  activity.bytesOut = 0;
}
