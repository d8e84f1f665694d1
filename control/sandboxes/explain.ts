import type { EventStore, RecordedEvent } from "../sqlite/event-store.ts";
import type { Collaborators } from "./collaborators.ts";
import { decideIdle, nextStop } from "./idle.ts";
import type { Sandbox } from "./sandbox.ts";

const mostRecent = 50;

type RecentEntry = {
  readonly time: string;
  readonly kind: "wake" | "extend" | "refuse" | "stop";
  readonly cause: string;
  readonly class: string | null;
  readonly credential: string | null;
  readonly outcome: string | null;
  readonly duration_ms: number | null;
};

/** Why a sandbox is awake or asleep, from what was recorded; the newest entries first. */
export function explain({ ledger, settings, now }: Collaborators, events: EventStore, sandbox: Sandbox) {
  const open = ledger.open(sandbox.id);
  const isRunning = sandbox.status === "running";
  const decision = decideIdle(sandbox, open, settings, now());
  const next = isRunning ? nextStop(sandbox, open, settings, now()) : undefined;
  const because = isRunning && decision.kind === "awake" ? decision.because : [];
  const recent = events.recent(sandbox.id, mostRecent).flatMap(toEntry);
  const extension = ledger.lastExtension(sandbox.id);
  if (extension !== undefined) recent.push(extended(extension.time, extension.class ?? null));
  return {
    status: sandbox.status,
    since: toTime(sandbox.statusSince),
    awake_because: because.map(({ cause, since, until, detail }) => ({
      cause,
      since: toTime(since),
      until: toTimeOrNull(until),
      detail,
    })),
    last_navigation_at: toTimeOrNull(sandbox.lastNavigationAt),
    next_stop_at: toTimeOrNull(next?.at ?? null),
    next_stop_because: next?.because ?? null,
    recent: recent.sort((a, b) => (a.time < b.time ? 1 : a.time > b.time ? -1 : 0)),
  };
}

function toEntry(event: RecordedEvent): RecentEntry[] {
  const { time, kind, cause, class: requestClass, outcome, durationMs, credential = null } = event;
  if (kind !== "wake" && kind !== "refuse" && kind !== "stop") return [];
  // A stop is recorded as it begins and as it ends: the end says what came of it.
  if (kind === "stop" && outcome === undefined) return [];
  const common = { time: toTime(time), kind, cause, class: requestClass ?? null, credential };
  return [{ ...common, outcome: outcome ?? null, duration_ms: durationMs ?? null }];
}

function extended(time: number, requestClass: string | null): RecentEntry {
  const nothing = { credential: null, outcome: null, duration_ms: null };
  return { time: toTime(time), kind: "extend", cause: "request", class: requestClass, ...nothing };
}

function toTime(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}

function toTimeOrNull(milliseconds: number | null): string | null {
  return milliseconds === null ? null : toTime(milliseconds);
}
