import type { Logger } from "pino";
import type { ControlConfig } from "./config.ts";
import type { Egress } from "./egress/egress.ts";
import type { SandboxEngine } from "./engines/sandbox-engine.ts";
import type { HostMemoryReader } from "./host-memory.ts";
import type { Metrics } from "./metrics.ts";
import type { RouteFeed } from "./routes/route-feed.ts";
import { ActivityLedger } from "./sandboxes/activity-ledger.ts";
import { Admission } from "./sandboxes/admission.ts";
import type { Collaborators } from "./sandboxes/collaborators.ts";
import { Drains } from "./sandboxes/drain.ts";
import { Execs } from "./sandboxes/execs.ts";
import type { GatewayWorkers } from "./sandboxes/gateway-workers.ts";
import { KeyedLock } from "./sandboxes/keyed-lock.ts";
import { MemoryWatch } from "./sandboxes/memory-watch.ts";
import { OwnerLimits } from "./sandboxes/owner-limits.ts";
import type { PressureRules } from "./sandboxes/pressure.ts";
import { reapPressure } from "./sandboxes/pressure-reaper.ts";
import { SandboxRecords } from "./sandboxes/sandbox-records.ts";
import { WakeFlights } from "./sandboxes/wake-flights.ts";
import { SnapshotFiles } from "./snapshots/snapshot-files.ts";
import { Snapshots } from "./snapshots/snapshots.ts";
import type { Database } from "./sqlite/database.ts";
import type { EventStore } from "./sqlite/event-store.ts";
import { SandboxStore } from "./sqlite/sandbox-store.ts";
import { SnapshotStore } from "./sqlite/snapshot-store.ts";
import { WorkspaceStore } from "./sqlite/workspace-store.ts";

export type CollaborateOptions = {
  readonly config: SandboxConfig;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly database: Database;
  readonly events: EventStore;
  readonly engine: SandboxEngine;
  readonly egress: Egress;
  readonly hostMemory: HostMemoryReader;
  readonly feed: RouteFeed;
  readonly workers: GatewayWorkers;
  /** Epoch milliseconds. */
  readonly now: () => number;
};

/** What of the configuration the use-cases heed. */
export type SandboxConfig = Pick<
  ControlConfig,
  | "setMemoryHigh"
  | "idleThresholdSeconds"
  | "maxUnattendedSeconds"
  | "keepaliveMaxSeconds"
  | "holdSeconds"
  | "memHeadroomPercent"
  | "memRefuseWakesPercent"
  | "memEmergencyPercent"
  | "wakeCostMb"
  | "startsAtOnce"
  | "wakePolicy"
  | "ownerRules"
  | "dataDirectory"
  | "snapshotRetention"
>;

/** A command that ends so soon after a create was never started. */
const earlyExitMs = 250;
const shortestWakeDeadlineSeconds = 60;

/** Puts together what the use-cases of sandboxes work with. */
export function collaborate(options: CollaborateOptions): Collaborators {
  const { config, logger, metrics, database, events, engine, egress, feed, workers, now } = options;
  const store = new SandboxStore(database);
  const wakeDeadlineMs = Math.max(config.holdSeconds, shortestWakeDeadlineSeconds) * 1000;
  const memory = new MemoryWatch(toPressureRules(config), options.hostMemory);
  const execs = new Execs();
  const use: Collaborators = {
    engine,
    egress,
    store,
    workers,
    metrics,
    logger,
    now,
    records: new SandboxRecords({ database, sandboxes: store, events, feed, globalPolicy: config.wakePolicy, now }),
    workspaces: new WorkspaceStore(database),
    snapshots: new Snapshots(new SnapshotStore(database), new SnapshotFiles(config.dataDirectory), logger),
    lock: new KeyedLock(),
    ledger: new ActivityLedger(store, workers, execs),
    drains: new Drains(workers),
    execs,
    flights: new WakeFlights(wakeDeadlineMs),
    memory,
    admission: new Admission({ memory, relieve: () => reapPressure(use), mostStarts: config.startsAtOnce }),
    limits: new OwnerLimits(config.ownerRules, (userId) => store.ownedBy(userId)),
    settings: {
      setMemoryHigh: config.setMemoryHigh,
      idleThresholdSeconds: config.idleThresholdSeconds,
      maxUnattendedSeconds: config.wakePolicy.maxUnattendedSeconds ?? config.maxUnattendedSeconds,
      keepaliveMaxSeconds: config.keepaliveMaxSeconds,
      snapshotRetention: config.snapshotRetention,
      earlyExitMs,
    },
  };
  return use;
}

function toPressureRules(config: SandboxConfig): PressureRules {
  return {
    headroomPercent: config.memHeadroomPercent,
    refuseWakesPercent: config.memRefuseWakesPercent,
    emergencyPercent: config.memEmergencyPercent,
    wakeCostBytes: config.wakeCostMb * 2 ** 20,
  };
}
