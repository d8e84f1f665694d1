import type { OpenCounts } from "./activity-ledger.ts";
import type { Sandbox } from "./sandbox.ts";

/** What keeps a sandbox awake. `until` is epoch milliseconds; null: for as long as it lasts. */
export type AwakeCause = {
  readonly cause: "always_on" | "keepalive" | "lease" | "exec" | "open" | "active";
  readonly since: number;
  readonly until: number | null;
  readonly detail: string;
};

export type IdleDecision =
  | { readonly kind: "awake"; readonly because: readonly AwakeCause[] }
  /** Nobody uses it. */
  | { readonly kind: "idle" }
  /** It is used, but nobody has navigated to it for too long. */
  | { readonly kind: "unattended" };

export type IdleRules = { readonly idleThresholdSeconds: number; readonly maxUnattendedSeconds: number };

/** Whether a running sandbox may go to sleep at `now`. */
export function decideIdle(sandbox: Sandbox, open: OpenCounts, rules: IdleRules, now: number): IdleDecision {
  const promised = promises(sandbox, open, now);
  if (promised.length > 0) return { kind: "awake", because: [...promised, ...uses(sandbox, open, rules, now)] };
  const used = uses(sandbox, open, rules, now);
  if (used.length === 0) return { kind: "idle" };
  return now >= unattendedAt(sandbox, rules) ? { kind: "unattended" } : { kind: "awake", because: used };
}

/** Whether activity at this time keeps a sandbox awake at `now`: the check behind the fence. */
export function isRecent(sandbox: Sandbox, lastActiveAt: number, rules: IdleRules, now: number): boolean {
  return lastActiveAt > now - idleMs(sandbox, rules);
}

/** When a paused sandbox is stopped: after as much time again as it needed to fall asleep; undefined for never. */
export function pauseEndsAt(sandbox: Sandbox, rules: IdleRules): number | undefined {
  return sandbox.sleepMode === "auto" ? sandbox.statusSince + idleMs(sandbox, rules) : undefined;
}

/** When it stops at the earliest as things are, and why; undefined when something open or promised has no end. */
export function nextStop(
  sandbox: Sandbox,
  open: OpenCounts,
  rules: IdleRules,
  now: number,
): { readonly at: number; readonly because: "idle" | "unattended" } | undefined {
  if (sandbox.idlePolicy === "always_on" || open.execs > 0) return undefined;
  const promisedUntil = Math.max(sandbox.keepaliveUntil ?? 0, sandbox.leaseUntil ?? 0);
  const unattended = Math.max(unattendedAt(sandbox, rules), promisedUntil);
  if (open.requests + open.sockets > 0) return { at: Math.max(unattended, now), because: "unattended" };
  const idle = Math.max(lastUse(sandbox) + idleMs(sandbox, rules), promisedUntil);
  return idle <= unattended ? { at: idle, because: "idle" } : { at: unattended, because: "unattended" };
}

/** What was promised about it, whether anybody uses it or not. */
export function promises(sandbox: Sandbox, { execs }: Pick<OpenCounts, "execs">, now: number): AwakeCause[] {
  const { idlePolicy, keepaliveUntil, leaseUntil, createdAt } = sandbox;
  const since = sandbox.awakeSince ?? createdAt;
  const causes: AwakeCause[] = [];
  if (idlePolicy === "always_on") {
    causes.push({ cause: "always_on", since, until: null, detail: "Its idle policy is always_on" });
  }
  if (keepaliveUntil !== null && keepaliveUntil > now) {
    causes.push({ cause: "keepalive", since, until: keepaliveUntil, detail: "A keepalive was asked for" });
  }
  if (leaseUntil !== null && leaseUntil > now) {
    causes.push({ cause: "lease", since, until: leaseUntil, detail: "A wake came with a lease" });
  }
  // Whoever may run commands in it may keep it awake by them, attended or not.
  if (execs > 0) {
    const detail = `${execs} commands run in it`;
    causes.push({ cause: "exec", since: sandbox.lastActiveAt, until: null, detail });
  }
  return causes;
}

function uses(sandbox: Sandbox, open: OpenCounts, rules: IdleRules, now: number): AwakeCause[] {
  const causes: AwakeCause[] = [];
  if (open.requests + open.sockets > 0) {
    const detail = `${open.requests} requests and ${open.sockets} sockets are open`;
    causes.push({ cause: "open", since: sandbox.lastActiveAt, until: null, detail });
  }
  const since = lastUse(sandbox);
  const until = since + idleMs(sandbox, rules);
  if (until > now) causes.push({ cause: "active", since, until, detail: "It was used lately" });
  return causes;
}

/** Coming up counts as a use: whoever woke it gets the whole time. */
export function lastUse(sandbox: Sandbox): number {
  return Math.max(sandbox.lastActiveAt, sandbox.awakeSince ?? 0);
}

function idleMs(sandbox: Sandbox, rules: IdleRules): number {
  return (sandbox.idleSeconds ?? rules.idleThresholdSeconds) * 1000;
}

function unattendedAt(sandbox: Sandbox, rules: IdleRules): number {
  const seconds = sandbox.wakePolicy.maxUnattendedSeconds ?? rules.maxUnattendedSeconds;
  return Math.max(sandbox.lastNavigationAt ?? 0, sandbox.startedAt ?? sandbox.createdAt) + seconds * 1000;
}
