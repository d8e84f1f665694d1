import { randomUUID } from "node:crypto";
import { join } from "node:path";
import type { Logger } from "pino";
import type { Variables } from "#contract/environment.ts";
import { openAccess } from "./access/open-access.ts";
import { oneAtATime, reloadAccess } from "./access/reload.ts";
import { Backups } from "./backups/backups.ts";
import { endRestoredRuns } from "./backups/restored-runs.ts";
import { type Edge, openEdge } from "./certificates/edge.ts";
import { collaborate } from "./collaborate.ts";
import { type ControlConfig, readReloadable } from "./config.ts";
import { openEgress } from "./egress/open-egress.ts";
import { hostMemoryReader } from "./host-memory.ts";
import type { Api } from "./http/api.ts";
import { loopbackDoor, socketDoor } from "./http/door.ts";
import { EdgeAccess } from "./http/edge-access.ts";
import { Idempotency } from "./http/idempotency.ts";
import { listenOnAddress, listenOnSocket } from "./http/listen.ts";
import { buildServer } from "./http/server.ts";
import { Loops } from "./loops.ts";
import { Metrics } from "./metrics.ts";
import { openEngine } from "./open-engine.ts";
import { RouteFeed } from "./routes/route-feed.ts";
import { adoptOriginal } from "./sandboxes/adopt-original.ts";
import type { Collaborators } from "./sandboxes/collaborators.ts";
import { followEngine } from "./sandboxes/follow-engine.ts";
import { GatewayWorkers } from "./sandboxes/gateway-workers.ts";
import { reapIdle } from "./sandboxes/idle-reaper.ts";
import { reconcile } from "./sandboxes/reconcile.ts";
import { followEgress } from "./sandboxes/sandbox-egress.ts";
import { Schedules } from "./sandboxes/schedules.ts";
import { stopAll } from "./sandboxes/stop-all.ts";
import { openSecretBox } from "./secrets/secret-key-file.ts";
import { reportUnreadable } from "./secrets/unreadable-secrets.ts";
import { SnapshotSchedules } from "./snapshots/snapshot-schedules.ts";
import { expireSnapshots } from "./snapshots/take-snapshot.ts";
import { lockDataDirectory } from "./sqlite/data-lock.ts";
import { Database } from "./sqlite/database.ts";
import { EventStore } from "./sqlite/event-store.ts";
import { GatewayWorkerStore } from "./sqlite/gateway-worker-store.ts";
import { IdempotencyStore } from "./sqlite/idempotency-store.ts";
import { Terminals, terminalBounds } from "./terminals/terminals.ts";
import { Workspaces } from "./workspaces/workspaces.ts";

/** The running control process; disposing of it drains and stops. */
export interface ControlPlane extends AsyncDisposable {
  /** Where the API listens on TCP: `host:port`. */
  readonly address: string;
  readonly socketPath: string;
  /** Reads the environment file again. Resolves with whether it was taken; when not, nothing has changed. */
  reload(variables?: Variables): Promise<boolean>;
}

const minuteMs = 60_000;
const reconcileEveryMs = 5 * minuteMs;
const pruneEveryMs = 60 * minuteMs;
/** A key that is taken out of a key set is refused after so long at the latest. */
const keySetsEveryMs = 5 * minuteMs;
const keptEventsMs = 30 * 24 * 60 * minuteMs;
const scheduleTurnMs = 1_000;
/** For so long at most sandboxes are without rules that somebody took away. */
const egressTurnMs = 2_000;
const retryReconcileMs = 1_000;

/** Opens everything in its order. What was opened before a failure is let go of. */
export async function openControlPlane(config: ControlConfig, logger: Logger): Promise<ControlPlane> {
  const opened = new AsyncDisposableStack();
  try {
    const api = await openCore(config, logger, opened);
    const address = await openListeners(api, config, logger, opened);
    const reload = oneAtATime((variables?: Variables) =>
      reloadAccess(api.access, () => readReloadable(variables), logger),
    );
    return { address, socketPath: config.controlSocket, reload, [Symbol.asyncDispose]: () => opened.disposeAsync() };
  } catch (error) {
    await opened.disposeAsync();
    throw error;
  }
}

async function openCore(config: ControlConfig, logger: Logger, opened: AsyncDisposableStack): Promise<Api> {
  const state = join(config.dataDirectory, "state");
  opened.defer(lockDataDirectory(state));
  const metrics = new Metrics();
  const database = new Database(join(state, "sandboxd.db"), () => metrics.wroteTransaction());
  opened.defer(() => database.close());
  const secrets = openSecretBox(config.secretKeyFile);
  const engine = await openEngine(config, secrets, logger);
  opened.defer(() => engine.close());
  const { egress: egressConfig, network, path } = config;
  const egress = openEgress({ config: egressConfig, network, path, engine, logger });
  opened.defer(() => egress.close());
  const edge = opened.use(await openTraefikEdge(config, logger));
  metrics.watchCertificate(() => edge.status());

  const events = new EventStore(database);
  const feed = new RouteFeed(randomUUID());
  const workers = new GatewayWorkers(new GatewayWorkerStore(database));
  opened.defer(() => workers.close());
  const use = collaborate({
    config,
    logger,
    metrics,
    database,
    events,
    engine,
    egress,
    feed,
    workers,
    hostMemory: hostMemoryReader(),
    now: Date.now,
  });
  adoptOriginal({ ...use, database });
  await use.snapshots.repair();
  reportUnreadable(use.store.all(), secrets, logger);
  metrics.countSandboxes(() => use.store.countByStatus());
  metrics.watchAdmission(() => ({
    availablePercent: use.memory.availablePercent(),
    queued: use.admission.queued,
  }));
  metrics.watchEgress(() => egress.status());
  opened.defer(followEngine(use));
  opened.defer(followEgress(use));
  const { access: accessConfig, apiTokens, origin } = config;
  const access = await openAccess({ database, config: accessConfig, apiTokens, origin, logger, now: Date.now });
  use.records.on("change", (id, sandbox) => sandbox === undefined && access.shares.revokeAll(id));
  const idempotencyKeys = new IdempotencyStore(database);
  const prune = async () => {
    events.prune(Date.now() - keptEventsMs);
    idempotencyKeys.prune(Date.now());
    await expireSnapshots(use);
    access.prune(config.auditRetentionDays);
  };
  const closing = new AbortController();
  const places = { database, dataDirectory: config.dataDirectory, closing: closing.signal };
  const backups = new Backups(config.backups, use, places);
  await backups.open();
  opened.defer(() => backups.close());
  metrics.watchBackups(() => backups.status());
  const refreshKeys = () => access.keeper.refresh();
  const synced = await startLoops(use, config, opened, { prune, refreshKeys, backUp: () => backups.turn() });
  const defaultImage = config.engine === "docker" ? config.image : null;
  return {
    use,
    access,
    edge,
    feed,
    events,
    closing,
    synced: synced.promise,
    workspaces: new Workspaces(config.dataDirectory),
    terminals: new Terminals(use, terminalBounds),
    secrets,
    backups,
    idempotency: new Idempotency(idempotencyKeys, Date.now),
    resources: { origin: config.origin, idleThresholdSeconds: config.idleThresholdSeconds, defaultImage },
    checkReady: async () => {
      database.get("SELECT 1");
      await engine.ping();
      if (!synced.done) throw new Error("the sandboxes were not yet compared with the engine");
    },
  };
}

type Synced = { readonly promise: Promise<void>; done: boolean };

/** Compares the rows with the engine, in the background when the engine is away, and then starts what goes on for ever. */
async function startLoops(
  use: Collaborators,
  config: ControlConfig,
  opened: AsyncDisposableStack,
  { prune, refreshKeys, backUp }: Readonly<Record<"prune" | "refreshKeys" | "backUp", () => Promise<void>>>,
): Promise<Synced> {
  const loops = new Loops(use.logger);
  opened.defer(() => loops.close());
  const first = Promise.withResolvers<void>();
  const synced: Synced = { promise: first.promise, done: false };
  await loops.untilDone("reconcile", retryReconcileMs, async () => {
    await endRestoredRuns(use.engine, config.dataDirectory);
    await reconcile(use);
    use.records.publishAll();
    synced.done = true;
    first.resolve();
  });
  loops.every("reconcile", reconcileEveryMs, async () => {
    if (synced.done) await reconcile(use);
  });
  const { egress } = use;
  await egress.turn();
  loops.every("egress", egressTurnMs, () => egress.turn());
  loops.every("idle", config.idleReapIntervalSeconds * 1000, () => reapIdle(use));
  const schedules = new Schedules(use);
  opened.defer(() => schedules.close());
  loops.every("schedules", scheduleTurnMs, async () => {
    if (synced.done) await schedules.turn();
  });
  const snapshotSchedules = new SnapshotSchedules(use);
  opened.defer(() => snapshotSchedules.close());
  loops.every("snapshots", scheduleTurnMs, async () => {
    if (synced.done) await snapshotSchedules.turn();
  });
  loops.every("pressure", config.pressureIntervalSeconds * 1000, () => use.admission.relieve());
  loops.every("backups", scheduleTurnMs, async () => {
    if (synced.done) await backUp();
  });
  loops.every("prune", pruneEveryMs, prune);
  loops.every("key sets", keySetsEveryMs, refreshKeys);
  return synced;
}

async function openListeners(
  api: Api,
  config: ControlConfig,
  logger: Logger,
  opened: AsyncDisposableStack,
): Promise<string> {
  const access = new EdgeAccess({
    disabled: config.apiAuthDisabled,
    tokens: api.access.tokens,
    callsPerSecond: config.apiCallsPerSecond,
  });
  const overSocket = await buildServer(api, socketDoor(access), logger);
  opened.defer(() => overSocket.close());
  const overTcp = await buildServer(api, loopbackDoor(access), logger);
  opened.defer(() => overTcp.close());
  opened.defer(() => quiesce(api));
  await listenOnSocket(overSocket, config.controlSocket);
  logger.info({ path: config.controlSocket, listener: "control-socket" }, "listening");
  const address = await listenOnAddress(overTcp, config.apiBind);
  logger.info({ address, listener: "api" }, "listening");
  return address;
}

/** Brings everything to rest while gateways still hear of it. Sandboxes that end with control go to sleep properly. */
async function quiesce({ use, terminals, closing }: Api): Promise<void> {
  closing.abort();
  await terminals.close();
  use.flights.close();
  use.admission.close();
  if (use.engine.kind === "process") await stopAll(use);
  use.drains.hurry();
  await use.lock.idle();
}

function openTraefikEdge(config: ControlConfig, logger: Logger): Promise<Edge> {
  const { origin, entryPoint, tls, gatewayUrls, httpsPort, certSource, acme } = config;
  const routes = { domain: origin.domain, entryPoint, tls, gatewayUrls, httpsPort };
  const dynamicDir = config.traefikDynamicDirectory;
  const places = { dataDir: config.dataDirectory, dynamicDir, certDir: config.certDirectory };
  // Traefik is on this machine, wherever it runs: its published port proves that it serves what was written.
  const traefikAddress = { host: "127.0.0.1", port: httpsPort };
  return openEdge({ ...routes, ...places, certSource, acme }, { logger, traefikAddress });
}
