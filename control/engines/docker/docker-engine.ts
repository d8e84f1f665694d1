import { join, resolve } from "node:path";
import type { ContainerInspectInfo } from "dockerode";
import type { Logger } from "pino";
import type { Listeners } from "#contract/gateway-api.ts";
import { parseSandboxId, type SandboxId } from "#contract/sandbox-id.ts";
import { type DiskQuota, DiskQuotaError } from "../../disks/disk-quota.ts";
import { type DiskQuotaChoice, openDiskQuota } from "../../disks/open-disk-quota.ts";
import {
  type DesiredState,
  type EngineCapabilities,
  type EngineDisk,
  EngineError,
  type EngineEvent,
  type EngineExit,
  type EngineNetwork,
  type EngineState,
  type EngineTerminal,
  type EngineUsage,
  type ExecCommand,
  type ExecEvent,
  type LogLine,
  type SandboxEngine,
  type SandboxSpec,
  type TerminalSize,
  unknownUsage,
} from "../sandbox-engine.ts";
import type { SecretOpener } from "../sealed-environment.ts";
import { inspectImage, isGone, pause, removeContainer, run, stop } from "./container-calls.ts";
import { type ContainerEvent, ContainerEvents } from "./container-events.ts";
import { execInContainer } from "./container-exec.ts";
import { containerListeners } from "./container-listeners.ts";
import {
  containerName,
  containerOptions,
  labelFilters,
  labels,
  sandboxUser,
  withoutVolumes,
} from "./container-options.ts";
import { toEngineState, toExit } from "./container-state.ts";
import { openContainerTerminal } from "./container-terminal.ts";
import { containerUsage } from "./container-usage.ts";
import { DaemonFacts } from "./daemon-facts.ts";
import { DockerClient } from "./docker-client.ts";
import { removeAbandonedHelpers } from "./helper-container.ts";
import { KnownContainers } from "./known-containers.ts";
import { readLog } from "./log-reader.ts";
import { hasMemoryHigh, setMemoryHigh } from "./memory-high.ts";
import { MemoryKills } from "./memory-kills.ts";
import { canReclaim, reclaimMemory } from "./memory-reclaim.ts";
import { PausedContainers } from "./paused-containers.ts";
import { SandboxNetwork } from "./sandbox-network.ts";
import { WorkspaceDisks } from "./workspace-disks.ts";
import { Workspaces } from "./workspaces.ts";

const defaultGraceSeconds = 10;
const inspectAtOnce = 16;

export type DockerEngineOptions = {
  readonly socketPath: string;
  /** For sandboxes that name none. It is never pulled. */
  readonly image: string;
  /** A bridge network of that name is made when there is none. */
  readonly network: string;
  readonly usernsMode: "host" | "";
  /** For sandboxes that name none; null: the daemon's default. */
  readonly runtime: string | null;
  /** Whether `memoryHighBytes` is heeded, on hosts that can. */
  readonly memoryHigh: boolean;
  /** Holds `workspaces/<id>` and `skeletons/`. */
  readonly dataDir: string;
  /** The same directory as the daemon sees it: another path when this program runs in a container. */
  readonly hostDataDir: string;
  readonly diskQuota: DiskQuotaChoice;
  /** Where this machine's programs are looked for. */
  readonly path: string;
  /** Further labels; containers without them are not this engine's. */
  readonly labels: Readonly<Record<string, string>>;
  readonly secrets: SecretOpener;
  readonly logger: Logger;
};

/**
 * Sandboxes as hardened Docker containers. A daemon that is away now is looked for again at every call. Throws
 * DiskQuotaError for disks that cannot be limited as asked for.
 */
export async function openDockerEngine(options: DockerEngineOptions): Promise<SandboxEngine> {
  const { diskQuota: choice, path, logger } = options;
  const dataDir = resolve(options.dataDir);
  const quota = await openDiskQuota({ choice, dataDir, owner: sandboxUser, path, logger });
  const engine = new DockerEngine(options, quota);
  await engine.open();
  return engine;
}

class DockerEngine implements SandboxEngine {
  readonly kind = "docker";
  readonly #options: DockerEngineOptions;
  readonly #client: DockerClient;
  readonly #facts: DaemonFacts;
  readonly #workspaces: Workspaces;
  readonly #disks: WorkspaceDisks;
  readonly #network: SandboxNetwork;
  readonly #events: ContainerEvents;
  readonly #watchers = new Set<(event: EngineEvent) => void>();
  readonly #memoryKills = new MemoryKills();
  readonly #known = new KnownContainers();
  readonly #paused = new PausedContainers();
  readonly #closing = new AbortController();
  #probing: Promise<unknown> = Promise.resolve();

  constructor(options: DockerEngineOptions, quota: DiskQuota) {
    const dataDir = resolve(options.dataDir);
    const client = new DockerClient(options.socketPath);
    this.#options = options;
    this.#client = client;
    this.#disks = new WorkspaceDisks(quota, options.logger);
    this.#facts = new DaemonFacts({ ...options, client, disk: this.#disks.detail });
    this.#workspaces = new Workspaces({ client, dataDir, quota, labels: options.labels });
    this.#network = new SandboxNetwork(options.network, options.labels);
    this.#events = new ContainerEvents({ ...options, client });
    this.#events.watch((event) => this.#onEvent(event));
  }

  async open(): Promise<void> {
    await this.#events.open();
    // What every container needs to know is found out before the first one is asked for.
    this.#probing = this.#facts.openFiles().catch(() => {});
    await this.#client.use(removeAbandonedHelpers).catch((error) => {
      this.#options.logger.warn({ err: error }, "cannot look for abandoned helper containers");
    });
  }

  async ping(): Promise<void> {
    await this.#client.ping();
  }

  async capabilities(): Promise<EngineCapabilities> {
    return this.#facts.capabilities();
  }

  async network(): Promise<EngineNetwork> {
    return this.#client.use((docker) => this.#network.describe(docker));
  }

  async ensure(spec: SandboxSpec): Promise<void> {
    const options = containerOptions(spec, {
      ...this.#options,
      noFile: await this.#facts.openFiles(),
      hostWorkspaces: join(this.#options.hostDataDir, "workspaces"),
    });
    const hash = options.Labels?.[labels.specification] ?? "";
    const hasWorkspace = await this.#workspaces.has(spec.id);
    if (hasWorkspace && !this.#disks.isInForce(spec.id, spec.diskBytes)) {
      await this.#disks.prepare(spec.id, spec.diskBytes, await this.#rest(spec.id));
    }
    if (hasWorkspace && this.#known.has(spec, hash)) return;
    const existing = await this.#find(spec.id);
    const isSame = existing?.Config.Labels[labels.specification] === hash;
    if (isSame) this.#known.learn(spec, hash);
    if (isSame && hasWorkspace) return;
    await this.#client.use(async (docker) => {
      const image = await inspectImage(docker, options.Image ?? "");
      if (!hasWorkspace) await this.#seed(spec, image.Id);
      if (isSame) return;
      if (existing !== undefined) await removeContainer(docker, containerName(spec.id));
      await this.#network.ensure(docker);
      await docker.createContainer(withoutVolumes(options, Object.keys(image.Config.Volumes ?? {})));
      this.#known.learn(spec, hash);
    });
  }

  async #seed({ id, diskBytes }: SandboxSpec, imageId: string): Promise<void> {
    try {
      await this.#workspaces.seed(id, imageId, diskBytes);
      this.#disks.learn(id, diskBytes);
    } catch (error) {
      if (error instanceof DiskQuotaError) throw new EngineError("start_failed", error.message, { cause: error });
      throw error;
    }
  }

  async #rest(id: SandboxId): Promise<"at rest" | "running"> {
    return isUp(await this.inspect(id)) ? "running" : "at rest";
  }

  async setDisk(id: SandboxId, bytes: number | null): Promise<void> {
    if (await this.#workspaces.has(id)) await this.#disks.set(id, bytes);
  }

  async replaceWorkspace(id: SandboxId, swap: () => Promise<void>): Promise<void> {
    await this.#disks.replace(id, swap);
  }

  async disk(id: SandboxId): Promise<EngineDisk> {
    return this.#disks.use(id);
  }

  async setDesired(
    id: SandboxId,
    desired: DesiredState,
    options: { graceSeconds?: number } = {},
  ): Promise<EngineState> {
    const { graceSeconds = defaultGraceSeconds } = options;
    if (desired === "running") {
      const resumed = await this.#client.use((docker) =>
        this.#paused.resume(id, docker.getContainer(containerName(id))),
      );
      if (resumed !== undefined) return resumed;
    }
    await this.#become(id, desired, graceSeconds).catch((error) => this.#makeAgain(id, desired, error));
    const found = await this.#find(id);
    if (found === undefined) return missing(id);
    if (desired === "running") await this.#limitMemory(found);
    return this.#see(id, found);
  }

  async #become(id: SandboxId, desired: DesiredState, graceSeconds: number): Promise<void> {
    const act = { running: run, paused: pause, stopped: stop }[desired];
    await this.#client.use((docker) => act(docker.getContainer(containerName(id)), graceSeconds), { patient: true });
  }

  /** Somebody has removed a container since it was last looked for. */
  async #makeAgain(id: SandboxId, desired: DesiredState, error: unknown): Promise<void> {
    const spec = isGone(error) && desired === "running" ? this.#known.lose(id) : undefined;
    if (spec === undefined) throw error;
    await this.ensure(spec);
    await this.#become(id, desired, 0);
  }

  async remove(id: SandboxId, { workspace }: { workspace: boolean }): Promise<void> {
    this.#known.forget(id);
    this.#disks.forget(id);
    await this.#client.use((docker) => removeContainer(docker, containerName(id)));
    if (workspace) await this.#workspaces.remove(id);
  }

  async inspect(id: SandboxId): Promise<EngineState> {
    const found = await this.#find(id);
    return found === undefined ? this.#paused.see(missing(id)) : this.#see(id, found);
  }

  async list(): Promise<readonly EngineState[]> {
    const filters = { label: labelFilters(this.#options.labels) };
    const containers = await this.#client.use((docker) => docker.listContainers({ all: true, filters }));
    const ids = containers.map(({ Labels }) => parseSandboxId(Labels[labels.id] ?? "")).values();
    const states: EngineState[] = [];
    const inspectSome = async () => {
      for (const id of ids) if (id !== undefined) states.push(await this.inspect(id));
    };
    await Promise.all(Array.from({ length: inspectAtOnce }, inspectSome));
    return states.filter(({ state }) => state !== "missing");
  }

  async usage(id: SandboxId): Promise<EngineUsage> {
    try {
      return await this.#client.use((docker) => containerUsage(docker.getContainer(containerName(id))));
    } catch (error) {
      if (isGone(error)) return unknownUsage;
      throw error;
    }
  }

  async reclaim(id: SandboxId): Promise<void> {
    if (!canReclaim()) throw new EngineError("unsupported", "Memory cannot be taken back here");
    const found = await this.#find(id);
    if (found?.State.Paused) await reclaimMemory(found.State.Pid, found.Id);
  }

  async listeners(id: SandboxId): Promise<Listeners> {
    try {
      return await this.#client.use((docker) => containerListeners(docker.getContainer(containerName(id))));
    } catch (error) {
      if (isGone(error)) return { reachable: [], loopbackOnly: [] };
      throw error;
    }
  }

  async *logs(
    id: SandboxId,
    { signal, ...request }: { tail?: number; follow?: boolean; signal?: AbortSignal },
  ): AsyncGenerator<LogLine> {
    const signals = signal === undefined ? [this.#closing.signal] : [signal, this.#closing.signal];
    const source = { id, client: this.#client, events: this.#events, isUp: async () => isUp(await this.inspect(id)) };
    yield* readLog(source, { ...request, signal: AbortSignal.any(signals) });
  }

  exec(id: SandboxId, command: ExecCommand, options: { signal: AbortSignal }): Promise<AsyncIterable<ExecEvent>> {
    return execInContainer(this.#client, containerName(id), command, options.signal);
  }

  terminal(id: SandboxId, size: TerminalSize): Promise<EngineTerminal> {
    return openContainerTerminal(this.#client, containerName(id), size);
  }

  watch(listener: (event: EngineEvent) => void): () => void {
    this.#watchers.add(listener);
    return () => this.#watchers.delete(listener);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#watchers.clear();
    await Promise.all([this.#events.close(), this.#probing]);
    this.#client.close();
  }

  async #find(id: SandboxId): Promise<ContainerInspectInfo | undefined> {
    try {
      return await this.#client.use((docker) => docker.getContainer(containerName(id)).inspect());
    } catch (error) {
      if (isGone(error)) return undefined;
      throw error;
    }
  }

  #see(id: SandboxId, found: ContainerInspectInfo): EngineState {
    return this.#paused.see(toEngineState(id, found, this.#options.network, this.#memoryKills.has(id)));
  }

  async #limitMemory({ Id, State, Config }: ContainerInspectInfo): Promise<void> {
    const bytes = Number(Config.Labels[labels.memoryHigh] ?? 0);
    if (bytes === 0 || !hasMemoryHigh()) return;
    try {
      await setMemoryHigh(State.Pid, bytes);
    } catch (error) {
      this.#options.logger.warn({ err: error, container: Id }, "cannot set memory.high");
    }
  }

  async #onEvent(event: ContainerEvent): Promise<void> {
    switch (event.type) {
      case "start":
        this.#paused.forget(event.id);
        this.#memoryKills.onStart(event.id);
        return this.#notify({ type: "started", id: event.id });
      case "oom":
        return this.#memoryKills.onOutOfMemory(event.id);
      case "kill":
        return this.#memoryKills.onKill(event.id, event.signal);
      case "die":
        this.#paused.forget(event.id);
        return this.#notify({ type: "ended", id: event.id, exit: await this.#exitOf(event) });
      case "destroy":
        this.#known.lose(event.id);
        this.#paused.forget(event.id);
        return this.#memoryKills.forget(event.id);
      case "gap":
        this.#known.clear();
        this.#paused.clear();
        return this.#notify({ type: "resync" });
      default: {
        const never: never = event;
        throw new Error(`Unknown event ${JSON.stringify(never)}`);
      }
    }
  }

  async #exitOf({ id, exitCode }: { id: SandboxId; exitCode: number }): Promise<EngineExit> {
    const isKnown = async () => (await this.#find(id).catch(() => undefined))?.State.OOMKilled === true;
    await this.#memoryKills.onEnd(id, exitCode, isKnown);
    return toExit(exitCode, this.#memoryKills.has(id));
  }

  #notify(event: EngineEvent): void {
    for (const watcher of this.#watchers) watcher(event);
  }
}

function isUp({ state }: EngineState): boolean {
  return state === "running" || state === "paused";
}

function missing(id: SandboxId): EngineState {
  return { id, state: "missing", exit: null, startedAt: null, endpoints: [], addresses: [], runtime: {} };
}
