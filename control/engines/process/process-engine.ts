import { readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { Logger } from "pino";
import type { Listeners } from "#contract/gateway-api.ts";
import { parseSandboxId, type SandboxId } from "#contract/sandbox-id.ts";
import { removeTree } from "../../snapshots/tree-copy.ts";
import {
  type DesiredState,
  type EngineCapabilities,
  type EngineDisk,
  EngineError,
  type EngineEvent,
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
import { FreePorts } from "./free-ports.ts";
import { defaultGraceSeconds, ProcessSandbox } from "./process-sandbox.ts";
import { hasProcessTable } from "./process-table.ts";
import { hasTerminals } from "./process-terminal.ts";
import { readRecord, type SandboxRecord } from "./sandbox-record.ts";

export type ProcessEngineOptions = {
  /** Holds `workspaces/<id>` and, below `processes/`, the records and logs of the sandboxes. */
  readonly dataDir: string;
  /** PATH of every sandbox that does not bring its own: all they get of control's environment. */
  readonly path: string;
  readonly secrets: SecretOpener;
  readonly logger: Logger;
  /** How long `close()` waits between SIGTERM and SIGKILL. */
  readonly closeGraceSeconds?: number;
};

/**
 * The engine for development: a sandbox is a process of this machine, with nothing between it and the user who runs
 * control. What an earlier program on the same data directory left running is taken over.
 */
export function openProcessEngine(options: ProcessEngineOptions): SandboxEngine {
  return new ProcessEngine(options);
}

class ProcessEngine implements SandboxEngine {
  readonly kind = "process";
  readonly #dataDir: string;
  readonly #path: string;
  readonly #secrets: SecretOpener;
  readonly #logger: Logger;
  readonly #closeGraceSeconds: number;
  readonly #ports = new FreePorts();
  readonly #sandboxes = new Map<SandboxId, ProcessSandbox>();
  readonly #watchers = new Set<(event: EngineEvent) => void>();

  constructor({ dataDir, path, secrets, logger, closeGraceSeconds = 5 }: ProcessEngineOptions) {
    this.#dataDir = resolve(dataDir);
    this.#path = path;
    this.#secrets = secrets;
    this.#logger = logger;
    this.#closeGraceSeconds = closeGraceSeconds;
    this.#adoptAll();
  }

  async ping(): Promise<void> {}

  async capabilities(): Promise<EngineCapabilities> {
    return {
      pause: true,
      reclaim: false,
      runtimes: [],
      terminal: hasTerminals,
      details: {
        isolation: "none",
        reclaim: "not possible for processes: a paused sandbox keeps its memory",
        afterCrash: hasProcessTable ? "running sandboxes are adopted" : "running sandboxes are ended",
      },
    };
  }

  async setDisk(): Promise<void> {}

  async replaceWorkspace(_: SandboxId, swap: () => Promise<void>): Promise<void> {
    await swap();
  }

  async disk(): Promise<EngineDisk> {
    return { driver: "none", usedBytes: null, limitBytes: null };
  }

  async network(): Promise<null> {
    return null;
  }

  async ensure(spec: SandboxSpec): Promise<void> {
    if (spec.cmd === null || spec.cmd.length === 0) {
      throw new EngineError("start_failed", "On the process engine a sandbox needs a cmd");
    }
    const existing = this.#sandboxes.get(spec.id);
    if (existing !== undefined && isDeepStrictEqual(existing.spec, spec)) return;
    if (existing !== undefined) await this.#discard(existing);
    const sandbox = this.#sandbox({ spec, run: null, exit: null });
    sandbox.prepare();
    this.#sandboxes.set(spec.id, sandbox);
  }

  async setDesired(
    id: SandboxId,
    desired: DesiredState,
    options: { graceSeconds?: number } = {},
  ): Promise<EngineState> {
    const sandbox = this.#sandboxes.get(id);
    if (sandbox === undefined) {
      if (desired === "stopped") return missing(id);
      throw new EngineError("start_failed", `There is no sandbox ${id} to start`);
    }
    if (desired === "running") await sandbox.start();
    else if (desired === "paused") sandbox.pause();
    else await sandbox.stop(options.graceSeconds ?? defaultGraceSeconds);
    return sandbox.state();
  }

  async remove(id: SandboxId, { workspace }: { workspace: boolean }): Promise<void> {
    const sandbox = this.#sandboxes.get(id);
    if (sandbox !== undefined) await this.#discard(sandbox);
    if (workspace) await removeTree(this.#workspace(id));
  }

  async inspect(id: SandboxId): Promise<EngineState> {
    return this.#sandboxes.get(id)?.state() ?? missing(id);
  }

  async list(): Promise<readonly EngineState[]> {
    return [...this.#sandboxes.values()].map((sandbox) => sandbox.state());
  }

  async usage(id: SandboxId): Promise<EngineUsage> {
    const usedBytes = this.#sandboxes.get(id)?.memoryBytes() ?? null;
    return { ...unknownUsage, memory: { ...unknownUsage.memory, usedBytes } };
  }

  async reclaim(): Promise<void> {
    throw new EngineError("unsupported", "Memory of processes cannot be taken back");
  }

  async listeners(id: SandboxId): Promise<Listeners> {
    return this.#sandboxes.get(id)?.listeners() ?? { reachable: [], loopbackOnly: [] };
  }

  async *logs(
    id: SandboxId,
    options: { tail?: number; follow?: boolean; signal?: AbortSignal },
  ): AsyncGenerator<LogLine> {
    const sandbox = this.#sandboxes.get(id);
    if (sandbox !== undefined) yield* sandbox.log.read(options);
  }

  async exec(
    id: SandboxId,
    command: ExecCommand,
    { signal }: { signal: AbortSignal },
  ): Promise<AsyncIterable<ExecEvent>> {
    const sandbox = this.#sandboxes.get(id);
    if (sandbox === undefined) throw new EngineError("start_failed", `There is no sandbox ${id}`);
    return sandbox.exec(command, signal);
  }

  async terminal(id: SandboxId, size: TerminalSize): Promise<EngineTerminal> {
    const sandbox = this.#sandboxes.get(id);
    if (sandbox === undefined) throw new EngineError("start_failed", `There is no sandbox ${id}`);
    return sandbox.terminal(size);
  }

  watch(listener: (event: EngineEvent) => void): () => void {
    this.#watchers.add(listener);
    return () => this.#watchers.delete(listener);
  }

  async close(): Promise<void> {
    await Promise.all(
      Array.from(this.#sandboxes.values(), async (sandbox) => {
        await sandbox.stop(this.#closeGraceSeconds);
        await sandbox.log.close();
      }),
    );
    this.#watchers.clear();
  }

  async #discard(sandbox: ProcessSandbox): Promise<void> {
    await sandbox.stop(0);
    await sandbox.remove();
    this.#sandboxes.delete(sandbox.spec.id);
  }

  #adoptAll(): void {
    for (const id of namesIn(this.#records).map(parseSandboxId)) {
      if (id === undefined) continue;
      try {
        const sandbox = this.#sandbox(readRecord(join(this.#records, id, "record.json")));
        sandbox.adopt();
        this.#sandboxes.set(id, sandbox);
      } catch (error) {
        this.#logger.error({ err: error, sandbox: id }, "cannot read the record of a sandbox");
      }
    }
  }

  #sandbox(record: SandboxRecord): ProcessSandbox {
    const { id } = record.spec;
    return new ProcessSandbox(record, {
      directory: join(this.#records, id),
      workspace: this.#workspace(id),
      path: this.#path,
      ports: this.#ports,
      secrets: this.#secrets,
      logger: this.#logger,
      notify: (event) => {
        for (const watcher of this.#watchers) watcher(event);
      },
    });
  }

  get #records(): string {
    return join(this.#dataDir, "processes");
  }

  #workspace(id: SandboxId): string {
    return join(this.#dataDir, "workspaces", id);
  }
}

function missing(id: SandboxId): EngineState {
  return { id, state: "missing", exit: null, startedAt: null, endpoints: [], addresses: [], runtime: {} };
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
