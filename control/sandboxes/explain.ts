import type { EventStore, RecordedEvent } from "../sqlite/event-store.ts";
import type { Extension, OpenCounts } from "./activity-ledger.ts";
import type { Collaborators } from "./collaborators.ts";
import { decideIdle, type IdleRules, nextStop, pauseEndsAt } from "./idle.ts";
import { isAsleep, type Sandbox } from "./sandbox.ts";
import { nextTime } from "./schedule.ts";

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
  const next = soonest(stopOf(sandbox, open, settings, now()), scheduledStop(sandbox, now()));
  const because = isRunning && decision.kind === "awake" ? decision.because : [];
  const recorded = events.recent(sandbox.id, mostRecent);
  const recent = [...recorded.flatMap(toEntry), ...ledger.extensions(sandbox.id).map(extended)];
  return {
    status: sandbox.status,
    since: toTime(sandbox.statusSince),
    awake_because: because.map(({ cause, since, until, detail }) => ({
      cause,
      since: toTime(since),
      until: toTimeOrNull(until),
      detail,
    })),
    asleep_because: asleepBecause(sandbox, recorded),
    last_navigation_at: toTimeOrNull(sandbox.lastNavigationAt),
    next_stop_at: toTimeOrNull(next?.at ?? null),
    next_stop_because: next?.because ?? null,
    recent: recent.sort((a, b) => (a.time < b.time ? 1 : a.time > b.time ? -1 : 0)),
  };
}

type Stop = { readonly at: number; readonly because: "idle" | "unattended" | "schedule" };

function stopOf(sandbox: Sandbox, open: OpenCounts, rules: IdleRules, now: number): Stop | undefined {
  if (sandbox.status === "running") return nextStop(sandbox, open, rules, now);
  const at = sandbox.status === "paused" ? pauseEndsAt(sandbox, rules) : undefined;
  return at === undefined ? undefined : { at, because: "idle" };
}

/** A promise that lasts beyond it wins. */
function scheduledStop({ status, schedule, keepaliveUntil, leaseUntil }: Sandbox, now: number): Stop | undefined {
  if (status !== "running" || schedule === null) return undefined;
  const at = nextTime(schedule.sleep, schedule.timezone, now);
  if (at === undefined || Math.max(keepaliveUntil ?? 0, leaseUntil ?? 0) > at) return undefined;
  return { at, because: "schedule" };
}

function soonest(...stops: readonly (Stop | undefined)[]): Stop | undefined {
  return stops.filter((stop) => stop !== undefined).sort((a, b) => a.at - b.at)[0];
}

/** An end by itself and a refused start say so in the reason; every other sleep was a stop that was recorded. */
function asleepBecause({ status, reason, statusSince }: Sandbox, recorded: readonly RecordedEvent[]) {
  if (!isAsleep(status) && status !== "error") return null;
  const since = toTime(statusSince);
  if (reason !== null) return { cause: reason.code, since, detail: reason.message };
  const stop = recorded.find(({ kind, outcome }) => kind === "stop" && (outcome === "stopped" || outcome === "paused"));
  return { cause: stop?.cause ?? "unknown", since, detail: stop?.detail ?? null };
}

function toEntry(event: RecordedEvent): RecentEntry[] {
  const { time, kind, cause, class: requestClass, outcome, durationMs, credential = null } = event;
  if (kind === "create" || kind === "change" || kind === "remove") return [];
  // A stop is recorded as it begins and as it ends: the end says what came of it.
  if (kind === "stop" && outcome === undefined) return [];
  const common = { time: toTime(time), kind, cause, class: requestClass ?? null, credential };
  return [{ ...common, outcome: outcome ?? null, duration_ms: durationMs ?? null }];
}

function extended({ from, to, class: requestClass }: Extension): RecentEntry {
  const nothing = { credential: null, outcome: null };
  return {
    time: toTime(to),
    kind: "extend",
    cause: "request",
    class: requestClass ?? null,
    ...nothing,
    duration_ms: to - from,
  };
}

function toTime(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}

function toTimeOrNull(milliseconds: number | null): string | null {
  return milliseconds === null ? null : toTime(milliseconds);
}
