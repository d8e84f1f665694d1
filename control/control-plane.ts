import { randomUUID } from "node:crypto";
import { join } from "node:path";
import type { Logger } from "pino";
import { type Edge, openEdge } from "./certificates/edge.ts";
import type { ControlConfig } from "./config.ts";
import { openDockerEngine } from "./engines/docker/docker-engine.ts";
import { openProcessEngine } from "./engines/process/process-engine.ts";
import type { SandboxEngine } from "./engines/sandbox-engine.ts";
import type { Api } from "./http/api.ts";
import { loopbackDoor, socketDoor } from "./http/door.ts";
import { Idempotency } from "./http/idempotency.ts";
import { listenOnAddress, listenOnSocket } from "./http/listen.ts";
import { type ApiServer, buildServer } from "./http/server.ts";
import { Loops } from "./loops.ts";
import { Metrics } from "./metrics.ts";
import { RouteFeed } from "./routes/route-feed.ts";
import { ActivityLedger } from "./sandboxes/activity-ledger.ts";
import type { Collaborators } from "./sandboxes/collaborators.ts";
import { Drains } from "./sandboxes/drain.ts";
import { followEngine } from "./sandboxes/follow-engine.ts";
import { GatewayWorkers } from "./sandboxes/gateway-workers.ts";
import { reapIdle } from "./sandboxes/idle-reaper.ts";
import { KeyedLock } from "./sandboxes/keyed-lock.ts";
import { reconcile } from "./sandboxes/reconcile.ts";
import { SandboxRecords } from "./sandboxes/sandbox-records.ts";
import { stopAll } from "./sandboxes/stop-all.ts";
import { WakeFlights } from "./sandboxes/wake-flights.ts";
import { lockDataDirectory } from "./sqlite/data-lock.ts";
import { Database } from "./sqlite/database.ts";
import { EventStore } from "./sqlite/event-store.ts";
import { IdempotencyStore } from "./sqlite/idempotency-store.ts";
import { SandboxStore } from "./sqlite/sandbox-store.ts";
import { WorkspaceStore } from "./sqlite/workspace-store.ts";

/** The running control process. */
export interface ControlPlane extends AsyncDisposable {
  /** Where the API listens. */
  readonly address: string;
  readonly socketPath: string;
}

const minuteMs = 60_000;
const reconcileEveryMs = 5 * minuteMs;
const pruneEveryMs = 60 * minuteMs;
const keptEventsMs = 30 * 24 * 60 * minuteMs;
const retryReconcileMs = 1_000;

/** Everything that has to be let go of, the last one first. */
export async function openControlPlane(config: ControlConfig, logger: Logger): Promise<ControlPlane> {
  const opened = new AsyncDisposableStack();
  try {
    return await open(config, logger, opened);
  } catch (error) {
    await opened.disposeAsync();
    throw error;
  }
}

async function open(config: ControlConfig, logger: Logger, opened: AsyncDisposableStack): Promise<ControlPlane> {
  opened.defer(lockDataDirectory(join(config.dataDirectory, "state")));
  const metrics = new Metrics();
  const database = new Database(join(config.dataDirectory, "state", "sandboxd.db"), () => metrics.wroteTransaction());
  opened.defer(() => database.close());
  const engine = await openEngine(config, logger);
  opened.defer(() => engine.close());
  const capabilities = await engine.capabilities();
  const edge = await openTraefikEdge(config, logger);
  opened.use(edge);

  const events = new EventStore(database);
  const feed = new RouteFeed(randomUUID());
  const use = collaborate({ config, logger, metrics, database, events, engine, feed });
  metrics.countSandboxes(() => use.store.countByStatus());
  opened.defer(() => use.workers.close());
  opened.defer(followEngine(use));
  const idempotencyKeys = new IdempotencyStore(database);

  const loops = new Loops(logger);
  opened.defer(() => loops.close());
  const synced = Promise.withResolvers<void>();
  let isSynced = false;
  await loops.untilDone("reconcile", retryReconcileMs, async () => {
    await reconcile(use);
    use.records.publishAll();
    isSynced = true;
    synced.resolve();
  });
  loops.every("reconcile", reconcileEveryMs, () => (isSynced ? reconcile(use) : Promise.resolve()));
  loops.every("idle", config.idleReapIntervalSeconds * 1000, () => reapIdle(use));
  loops.every("prune", pruneEveryMs, async () => {
    events.prune(Date.now() - keptEventsMs);
    idempotencyKeys.prune(Date.now());
  });

  const api: Api = {
    use,
    feed,
    events,
    capabilities,
    idempotency: new Idempotency(idempotencyKeys, Date.now),
    resources: {
      origin: config.origin,
      idleThresholdSeconds: config.idleThresholdSeconds,
      defaultImage: config.engine === "docker" ? config.image : null,
    },
    synced: synced.promise,
    checkReady: async () => {
      database.get("SELECT 1");
      await engine.ping();
      if (!isSynced) throw new Error("the sandboxes were not yet compared with the engine");
    },
  };
  const access = { disabled: config.apiAuthDisabled, tokens: config.apiTokens };
  const overSocket = await listen(buildServer(api, socketDoor(access), logger), opened);
  const overTcp = await listen(buildServer(api, loopbackDoor(access), logger), opened);
  opened.defer(() => quiesce(use, engine));
  await listenOnSocket(overSocket, config.controlSocket);
  logger.info({ path: config.controlSocket, listener: "control-socket" }, "listening");
  const address = await listenOnAddress(overTcp, config.apiBind);
  logger.info({ address, listener: "api" }, "listening");
  return {
    address,
    socketPath: config.controlSocket,
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

async function listen(building: Promise<ApiServer>, opened: AsyncDisposableStack): Promise<ApiServer> {
  const server = await building;
  opened.defer(() => server.close());
  return server;
}

/** Brings everything to rest while gateways still hear of it. Sandboxes that end with control go to sleep properly. */
async function quiesce(use: Collaborators, engine: SandboxEngine): Promise<void> {
  use.flights.close();
  if (engine.kind === "process") await stopAll(use);
  use.drains.hurry();
  await use.lock.idle();
}

function openEngine(config: ControlConfig, logger: Logger): Promise<SandboxEngine> | SandboxEngine {
  const { engine, dataDirectory: dataDir } = config;
  switch (engine) {
    case "process":
      return openProcessEngine({ dataDir, path: config.path, logger });
    case "docker":
      return openDockerEngine({
        socketPath: config.dockerSocket,
        image: config.image,
        network: config.network,
        usernsMode: config.userns,
        runtime: config.runtime,
        memoryHigh: config.setMemoryHigh,
        dataDir,
        hostDataDir: config.hostDataDirectory,
        labels: {},
        logger,
      });
    default: {
      const never: never = engine;
      throw new Error(`unknown engine: ${never}`);
    }
  }
}

function openTraefikEdge(config: ControlConfig, logger: Logger): Promise<Edge> {
  const { origin, entryPoint, tls, gatewayUrl, httpsPort, certSource } = config;
  const routes = { domain: origin.domain, entryPoint, tls, gatewayUrl, httpsPort };
  const places = {
    dataDir: config.dataDirectory,
    dynamicDir: config.traefikDynamicDirectory,
    certDir: config.certDirectory,
  };
  return openEdge({ ...routes, ...places, certSource }, { logger });
}

type Parts = {
  readonly config: ControlConfig;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly database: Database;
  readonly events: EventStore;
  readonly engine: SandboxEngine;
  readonly feed: RouteFeed;
};

function collaborate({ config, logger, metrics, database, events, engine, feed }: Parts): Collaborators {
  const now = Date.now;
  const store = new SandboxStore(database);
  const workers = new GatewayWorkers();
  const wakeDeadlineMs = Math.max(config.holdSeconds, 60) * 1000;
  return {
    engine,
    store,
    workers,
    metrics,
    logger,
    now,
    records: new SandboxRecords({ database, sandboxes: store, events, feed, globalPolicy: config.wakePolicy, now }),
    workspaces: new WorkspaceStore(database),
    lock: new KeyedLock(),
    ledger: new ActivityLedger(store, workers),
    drains: new Drains(workers),
    flights: new WakeFlights(wakeDeadlineMs),
    settings: {
      setMemoryHigh: config.setMemoryHigh,
      idleThresholdSeconds: config.idleThresholdSeconds,
      maxUnattendedSeconds: config.wakePolicy.maxUnattendedSeconds ?? config.maxUnattendedSeconds,
      keepaliveMaxSeconds: config.keepaliveMaxSeconds,
      wakeDeadlineMs,
      earlyExitMs: 250,
    },
  };
}
