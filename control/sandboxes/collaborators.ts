import type { Logger } from "pino";
import type { SandboxId } from "#contract/sandbox-id.ts";
import type { Egress } from "../egress/egress.ts";
import type { SandboxEngine } from "../engines/sandbox-engine.ts";
import type { Metrics } from "../metrics.ts";
import type { Retention } from "../snapshots/retention.ts";
import type { Snapshots } from "../snapshots/snapshots.ts";
import type { SandboxStore } from "../sqlite/sandbox-store.ts";
import type { WorkspaceStore } from "../sqlite/workspace-store.ts";
import type { ActivityLedger } from "./activity-ledger.ts";
import type { Admission } from "./admission.ts";
import type { Drains } from "./drain.ts";
import type { Execs } from "./execs.ts";
import type { GatewayWorkers } from "./gateway-workers.ts";
import type { KeyedLock } from "./keyed-lock.ts";
import type { MemoryWatch } from "./memory-watch.ts";
import type { OwnerLimits } from "./owner-limits.ts";
import type { SandboxRecords } from "./sandbox-records.ts";
import type { WakeFlights } from "./wake-flights.ts";

/** What the use-cases of sandboxes work with; the composition root makes one. */
export type Collaborators = {
  readonly engine: SandboxEngine;
  readonly egress: Egress;
  readonly records: SandboxRecords;
  readonly store: SandboxStore;
  readonly workspaces: WorkspaceStore;
  readonly snapshots: Snapshots;
  /** Whoever moves a sandbox from one status to another holds its lock. */
  readonly lock: KeyedLock<SandboxId>;
  readonly workers: GatewayWorkers;
  readonly ledger: ActivityLedger;
  readonly drains: Drains;
  readonly execs: Execs;
  readonly flights: WakeFlights;
  readonly memory: MemoryWatch;
  readonly admission: Admission;
  readonly limits: OwnerLimits;
  readonly settings: SandboxSettings;
  readonly metrics: Metrics;
  readonly logger: Logger;
  /** Epoch milliseconds. */
  readonly now: () => number;
};

export type SandboxSettings = {
  readonly setMemoryHigh: boolean;
  readonly idleThresholdSeconds: number;
  readonly maxUnattendedSeconds: number;
  readonly keepaliveMaxSeconds: number;
  readonly snapshotRetention: Retention;
  /** A command that ends within this time of its first start was never started. */
  readonly earlyExitMs: number;
};
