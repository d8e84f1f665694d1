import type { CorsPolicy } from "#contract/cors.ts";
import type { HostPolicy, SandboxStatus, StatusReason } from "#contract/gateway-api.ts";
import type { SandboxId } from "#contract/sandbox-id.ts";
import type { SnapshotId } from "../snapshots/snapshot.ts";
import type { SnapshotPolicy } from "../snapshots/snapshot-policy.ts";
import type { Schedule } from "./schedule.ts";
import type { WakePolicy } from "./wake-policy.ts";

/** What an integrator decides about a sandbox. Sizes are written as the caller wrote them: `4G`. */
export type SandboxPolicy = {
  readonly ports: readonly number[];
  readonly image: string | null;
  readonly cmd: readonly string[] | null;
  readonly env: Readonly<Record<string, string>>;
  /** Variables whose values are secret, each sealed for this sandbox. */
  readonly sealedEnv: Readonly<Record<string, string>>;
  readonly visibility: "public" | "private";
  readonly idlePolicy: "sleep" | "always_on";
  /** null: the configured threshold. */
  readonly idleSeconds: number | null;
  readonly sleepMode: "stop" | "pause" | "auto";
  readonly memoryHigh: string | null;
  readonly memoryMax: string;
  readonly cpu: number | null;
  /** Such as `runsc`; null: the configured one. */
  readonly runtime: string | null;
  readonly disk: string | null;
  readonly hostPolicy: HostPolicy;
  readonly hostPolicyByPort: Readonly<Record<string, HostPolicy>>;
  readonly wakePolicy: WakePolicy;
  /** Which other origins' pages may call it; null: the app decides. */
  readonly cors: CorsPolicy | null;
  readonly schedule: Schedule | null;
  /** null: as configured, and only when somebody asks. */
  readonly snapshots: SnapshotPolicy | null;
  /** What its workspace begins with; null: what the engine begins one with. */
  readonly fromSnapshot: SnapshotId | null;
  /** What it may connect to besides the public internet, as the caller wrote it. */
  readonly egressAllow: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly external: External;
};

/** Whose sandbox it is, in the integrator's own words. */
export type External = {
  readonly userId: string | null;
  readonly projectId: string | null;
  readonly workspaceId: string | null;
};

/** What holds for a sandbox whose integrator says nothing. */
export const defaultPolicy: SandboxPolicy = {
  ports: [],
  image: null,
  cmd: null,
  env: {},
  sealedEnv: {},
  visibility: "public",
  idlePolicy: "sleep",
  idleSeconds: null,
  sleepMode: "stop",
  memoryHigh: "4G",
  memoryMax: "10G",
  cpu: null,
  runtime: null,
  disk: null,
  hostPolicy: "localhost",
  hostPolicyByPort: {},
  wakePolicy: { classes: {} },
  cors: null,
  schedule: null,
  snapshots: null,
  fromSnapshot: null,
  egressAllow: [],
  labels: {},
  external: { userId: null, projectId: null, workspaceId: null },
};

/** What goes with a sandbox that is removed: nothing, its workspace, or that and its snapshots. */
export type Removal = "keep" | "workspace" | "all";

/** Where a sandbox is in its life. Times are epoch milliseconds. */
export type SandboxLife = {
  readonly status: SandboxStatus;
  readonly reason: StatusReason | null;
  /** Grows with every start of the container or process. */
  readonly run: number;
  readonly startedAt: number | null;
  /** Since when it is not asleep: a start, or the end of a pause. */
  readonly awakeSince: number | null;
  readonly keepaliveUntil: number | null;
  /** Until then a wake's lease keeps it awake without traffic. */
  readonly leaseUntil: number | null;
  /** Ends by itself, each soon after its start, without a longer run since. */
  readonly crashes: number;
  /** Before then a crash loop is not started again. */
  readonly retryAt: number | null;
  /** What the last starts took, until their apps answered where somebody waited for that; the newest last. */
  readonly recentStartsMs: readonly number[];
  readonly removing: Removal | null;
};

export type Sandbox = SandboxPolicy &
  SandboxLife & {
    readonly id: SandboxId;
    /** Grows with every change of what is above. */
    readonly generation: number;
    readonly createdAt: number;
    readonly updatedAt: number;
    /** When the status last changed. */
    readonly statusSince: number;
    readonly lastActiveAt: number;
    readonly lastNavigationAt: number | null;
  };

export type SandboxChanges = Partial<SandboxPolicy & SandboxLife>;

const next: Readonly<Record<SandboxStatus, readonly SandboxStatus[]>> = {
  creating: ["running", "paused", "waking", "stopped", "error"],
  running: ["draining", "paused", "stopped", "error"],
  draining: ["running", "paused", "stopped", "error"],
  paused: ["waking", "running", "draining", "stopped", "error"],
  stopped: ["waking", "running", "paused", "error"],
  waking: ["running", "paused", "stopped", "error"],
  error: ["waking", "running", "paused", "stopped"],
};

/** Whether a sandbox may go from one status to the other; staying where it is always may. */
export function mayBecome(from: SandboxStatus, to: SandboxStatus): boolean {
  return from === to || next[from].includes(to);
}

/** Whether a container or process of it runs, so that it can be dialled. */
export function isUp(status: SandboxStatus): boolean {
  return status === "running" || status === "draining";
}

export function isAsleep(status: SandboxStatus): boolean {
  return status === "stopped" || status === "paused";
}

/** A new sandbox that nobody has started yet. */
export function newSandbox(id: SandboxId, policy: SandboxPolicy, now: number): Sandbox {
  return {
    ...policy,
    id,
    status: "creating",
    reason: null,
    generation: 1,
    run: 0,
    createdAt: now,
    updatedAt: now,
    statusSince: now,
    startedAt: null,
    awakeSince: null,
    lastActiveAt: now,
    lastNavigationAt: null,
    keepaliveUntil: null,
    leaseUntil: null,
    crashes: 0,
    retryAt: null,
    recentStartsMs: [],
    removing: null,
  };
}

/** The sandbox after a change. Throws for a transition that its state does not allow: that is a bug of the caller. */
export function changed(sandbox: Sandbox, changes: SandboxChanges, now: number): Sandbox {
  const status = changes.status ?? sandbox.status;
  if (!mayBecome(sandbox.status, status))
    throw new Error(`${sandbox.id} cannot go from ${sandbox.status} to ${status}`);
  return {
    ...sandbox,
    ...changes,
    generation: sandbox.generation + 1,
    updatedAt: now,
    statusSince: status === sandbox.status ? sandbox.statusSince : now,
  };
}
