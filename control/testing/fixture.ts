import { once } from "node:events";
import { setImmediate } from "node:timers/promises";
import pino from "pino";
import type { Test } from "tap";
import type { SandboxStatus } from "#contract/gateway-api.ts";
import type { SandboxId } from "#contract/sandbox-id.ts";
import { collaborate, type SandboxConfig } from "../collaborate.ts";
import { NoEgress } from "../egress/egress.ts";
import { Metrics } from "../metrics.ts";
import { RouteFeed } from "../routes/route-feed.ts";
import type { Collaborators } from "../sandboxes/collaborators.ts";
import { createSandbox, newSandboxId } from "../sandboxes/create-sandbox.ts";
import { GatewayWorkers } from "../sandboxes/gateway-workers.ts";
import { defaultPolicy, type Sandbox, type SandboxPolicy } from "../sandboxes/sandbox.ts";
import { Database } from "../sqlite/database.ts";
import { EventStore } from "../sqlite/event-store.ts";
import { GatewayWorkerStore } from "../sqlite/gateway-worker-store.ts";
import { MemoryEngine } from "./memory-engine.ts";

export const silent = pino({ level: "silent" });

export const policy: SandboxPolicy = { ...defaultPolicy, ports: [3000], cmd: ["app"] };

const defaultConfig: SandboxConfig = {
  setMemoryHigh: false,
  idleThresholdSeconds: 2100,
  maxUnattendedSeconds: 14_400,
  keepaliveMaxSeconds: 86_400,
  holdSeconds: 60,
  memHeadroomPercent: 15,
  memRefuseWakesPercent: 10,
  memEmergencyPercent: 5,
  wakeCostMb: 800,
  startsAtOnce: 8,
  wakePolicy: { classes: {} },
  dataDirectory: "/no/such/directory",
  snapshotRetention: { keep: null, keepDays: null },
  ownerRules: { sandboxes: null, running: null, memoryBytes: null },
};

const gibibyte = 2 ** 30;

/** A clock that a test sets. It begins with the real time, which workers' leases go by. */
export type Clock = { now: number };

/** The machine's memory, which a test sets too. There is plenty at first. */
export type TestMemory = { availableBytes: number; totalBytes: number; stalledPercent: number | null };

export type Fixture = {
  readonly memory: TestMemory;
  readonly use: Collaborators;
  readonly engine: MemoryEngine;
  readonly clock: Clock;
  readonly feed: RouteFeed;
  readonly database: Database;
  readonly events: EventStore;
  readonly metrics: Metrics;
};

/** The use-cases over an engine in memory and a database in memory. */
export function fixture(t: Test, { leaseMs = 10_000, config = {} as Partial<SandboxConfig> } = {}): Fixture {
  const engine = new MemoryEngine();
  const metrics = new Metrics();
  const database = new Database(":memory:", () => metrics.wroteTransaction());
  const events = new EventStore(database);
  const feed = new RouteFeed("epoch");
  const workers = new GatewayWorkers(new GatewayWorkerStore(database), { leaseMs });
  const clock = { now: Date.now() };
  const memory: TestMemory = { availableBytes: 64 * gibibyte, totalBytes: 100 * gibibyte, stalledPercent: null };
  const use = collaborate({
    ...{ metrics, database, events, engine, feed, workers },
    egress: new NoEgress(),
    hostMemory: () => ({ ...memory }),
    config: { ...defaultConfig, ...config },
    logger: silent,
    now: () => clock.now,
  });
  t.teardown(() => {
    workers.close();
    database.close();
  });
  // What only the composition root shortens.
  Object.assign(use.settings, { earlyExitMs: 0 });
  return { use, engine, clock, memory, feed, database, events, metrics };
}

/** A sandbox that runs. */
export async function running({ use }: Fixture, overrides: Partial<SandboxPolicy> = {}): Promise<Sandbox> {
  const creation = await createSandbox(use, newSandboxId(), { ...policy, ...overrides }, { keepFailed: false });
  const sandbox = await creation.running;
  // The lock is let go of right after the answer.
  await setImmediate();
  return sandbox;
}

/** Resolves when the sandbox has this status. */
export async function reached({ use }: Fixture, id: SandboxId, status: SandboxStatus): Promise<Sandbox> {
  for (;;) {
    const sandbox = use.records.get(id);
    if (sandbox?.status === status) return sandbox;
    await once(use.records, "change");
  }
}
