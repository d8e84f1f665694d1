import { mkdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "pino";
import type { Listeners } from "#contract/gateway-api.ts";
import {
  EngineError,
  type EngineEvent,
  type EngineExit,
  type EngineState,
  type EngineTerminal,
  type ExecCommand,
  type ExecEvent,
  type SandboxSpec,
  type TerminalSize,
} from "../sandbox-engine.ts";
import { sandboxEnvironment } from "../sandbox-environment.ts";
import { openEnvironment, type SecretOpener } from "../sealed-environment.ts";
import { tcpListeners, toListeners } from "../tcp-table.ts";
import type { FreePorts } from "./free-ports.ts";
import { execProcess } from "./process-exec.ts";
import {
  bootId,
  hasProcessTable,
  isRunning,
  type Leader,
  residentBytes,
  socketInodes,
  startedAtByPs,
} from "./process-table.ts";
import { openProcessTerminal } from "./process-terminal.ts";
import { SandboxLog } from "./sandbox-log.ts";
import { type RunRecord, type SandboxRecord, writeRecord } from "./sandbox-record.ts";
import { SandboxRun } from "./sandbox-run.ts";

/** Between SIGTERM and SIGKILL, unless somebody says otherwise. */
export const defaultGraceSeconds = 10;
const loopback = "127.0.0.1";
const mostLogBytes = 10 * 1024 * 1024;
/** What matches no process: the leader of a run that ended before its pid was recorded. */
const nobody: Leader = { pid: -1, startTime: 0 };

export type ProcessSandboxOptions = {
  /** Where the record and the log are kept. */
  readonly directory: string;
  readonly workspace: string;
  /** PATH of the sandbox. */
  readonly path: string;
  readonly ports: FreePorts;
  readonly secrets: SecretOpener;
  readonly logger: Logger;
  readonly notify: (event: EngineEvent) => void;
};

/** One ensured sandbox of the process engine: what it shall run, and its run while there is one. */
export class ProcessSandbox {
  readonly log: SandboxLog;
  readonly #options: ProcessSandboxOptions;
  #record: SandboxRecord;
  #run: SandboxRun | undefined;
  /** Resolves when nothing of the last run is left. */
  #gone: Promise<void> = Promise.resolve();

  constructor(record: SandboxRecord, options: ProcessSandboxOptions) {
    this.#record = record;
    this.#options = options;
    this.log = new SandboxLog(options.directory, { mostBytes: mostLogBytes });
  }

  get spec(): SandboxSpec {
    return this.#record.spec;
  }

  state(): EngineState {
    const { spec, run, exit } = this.#record;
    const isUp = this.#run !== undefined && run !== null;
    const pid = this.#run?.leader.pid ?? null;
    return {
      id: spec.id,
      state: isUp ? (run.paused ? "paused" : "running") : "exited",
      exit,
      startedAt: isUp ? run.startedAt : null,
      endpoints: isUp ? run.ports.map((each) => ({ ...each, address: loopback })) : [],
      addresses: [],
      runtime: { pid, workspace: this.#options.workspace },
    };
  }

  /** Records the specification and makes the workspace. Throws `start_failed` when the disk does not take it. */
  prepare(): void {
    try {
      mkdirSync(this.#app, { recursive: true });
      this.#save({});
    } catch (error) {
      throw startFailed(error);
    }
  }

  /** Starts it, or lets it go on when it is paused. Throws `start_failed`. */
  async start(): Promise<void> {
    if (this.#run !== undefined) return this.#setPaused(false);
    await this.#gone;
    const { spec } = this.#record;
    const upstreamPorts = await this.#options.ports.take(spec.ports.length);
    const ports = spec.ports.map((port, index) => ({ port, upstreamPort: upstreamPorts[index]! }));
    try {
      await this.#spawn(ports);
    } catch (error) {
      // A process that runs, but cannot be recorded, is ended: nobody would find it again.
      await this.stop(0);
      this.log.pause();
      this.#options.ports.release(upstreamPorts);
      this.#trySave({ run: null });
      throw startFailed(error);
    }
    this.#options.notify({ type: "started", id: spec.id });
  }

  /**
   * Takes over the process that the record tells of. What is half started or half stopped, cannot be told from a stranger's
   * or has lost its main process meanwhile counts as ended, and what is left of it is ended before the next start.
   */
  adopt(): void {
    const { run } = this.#record;
    if (run === null) return;
    if (run.bootId !== bootId || !isOurs(run)) {
      this.#save({ run: null });
      return;
    }
    const ports = run.ports.map(({ upstreamPort }) => upstreamPort);
    this.#options.ports.adopt(ports);
    const leader = run.pid === null ? nobody : { pid: run.pid, startTime: run.startTime };
    const adopted = SandboxRun.adopt(leader, run.marks);
    if (hasProcessTable && isRunning(leader) && !run.stopping) {
      this.log.follow();
      this.#begin(adopted, run);
      // A pause or its end that was cut off before it was recorded has not happened.
      if (run.paused) adopted.pause();
      else adopted.resume();
      return;
    }
    this.#gone = adopted.gone.then(() => {
      this.#options.ports.release(ports);
      if (run.stopping) this.#trySave({ run: null });
    });
    // It was told to end, and must not be taken for one that serves until it does.
    if (run.stopping) void adopted.stop(defaultGraceSeconds);
    else this.#save({ run: null });
  }

  pause(): void {
    this.#setPaused(true);
  }

  async stop(graceSeconds: number): Promise<void> {
    const { run } = this.#record;
    if (this.#run !== undefined && run !== null) this.#trySave({ run: { ...run, stopping: true } });
    await this.#run?.stop(graceSeconds);
    await this.#gone;
  }

  /** Forgets an ended sandbox, the workspace apart. */
  async remove(): Promise<void> {
    await this.log.close();
    await rm(this.#options.directory, { recursive: true, force: true });
  }

  /** null unless it is up and the system tells. Pages that its processes share count once for each. */
  memoryBytes(): number | null {
    if (this.#run === undefined || !hasProcessTable) return null;
    return this.#run.tree().reduce((sum, { pid }) => sum + residentBytes(pid), 0);
  }

  listeners(): Listeners {
    if (this.#run === undefined || !hasProcessTable) return { reachable: [], loopbackOnly: [] };
    const inodes = socketInodes(this.#run.tree());
    const { reachable, loopbackOnly } = toListeners(tcpListeners("self").filter(({ inode }) => inodes.has(inode)));
    // The gateway dials 127.0.0.1 here, so a port on loopback is as good as any other.
    return { reachable: [...reachable, ...loopbackOnly].sort((a, b) => a - b), loopbackOnly: [] };
  }

  /** Starts a command beside what it runs. Throws `start_failed`. */
  exec({ cmd, cwd, env, stdin }: ExecCommand, signal: AbortSignal): Promise<AsyncIterable<ExecEvent>> {
    const { run } = this.#record;
    if (this.#run === undefined || run === null || run.paused) {
      throw new EngineError("start_failed", "A command needs a sandbox that runs");
    }
    const own = this.#environment(run.ports);
    return execProcess({ cmd, cwd: join(this.#options.workspace, cwd), env: { ...own, ...env }, stdin }, signal);
  }

  /** Starts a shell on a terminal. Throws `start_failed` and `unsupported`. */
  terminal(size: TerminalSize): Promise<EngineTerminal> {
    const { run } = this.#record;
    if (this.#run === undefined || run === null || run.paused) {
      throw new EngineError("start_failed", "A terminal needs a sandbox that runs");
    }
    return openProcessTerminal({ cwd: this.#app, env: this.#environment(run.ports) }, size);
  }

  get #app(): string {
    return join(this.#options.workspace, "workspace", "app");
  }

  async #spawn(ports: RunRecord["ports"]): Promise<void> {
    const env = this.#environment(ports);
    const marks = [`HOME=${env.HOME}`, ...ports.map(({ port, upstreamPort }) => `PORT_${port}=${upstreamPort}`)];
    const run = { pid: null, startTime: null, bootId, startedAt: Date.now(), paused: false, ports, marks };
    mkdirSync(this.#app, { recursive: true });
    this.#save({ run });
    const command = { cmd: this.#record.spec.cmd ?? [], cwd: this.#app, env, output: this.log.follow() };
    this.#begin(await SandboxRun.spawn(command, marks), run);
  }

  #environment(ports: RunRecord["ports"]) {
    const { path, workspace, secrets } = this.#options;
    const own = openEnvironment(this.#record.spec, secrets);
    return { PATH: path, HOME: workspace, ...sandboxEnvironment(own, ports, loopback) };
  }

  #begin(run: SandboxRun, record: RunRecord): void {
    const ports = record.ports.map(({ upstreamPort }) => upstreamPort);
    this.#run = run;
    this.#gone = run.gone.then(() => this.#options.ports.release(ports));
    run.exit.then((exit) => this.#end(exit));
    this.#save({ run: { ...record, pid: run.leader.pid, startTime: run.leader.startTime }, exit: null });
  }

  #end(exit: EngineExit): void {
    this.#run = undefined;
    this.log.pause();
    this.#trySave({ run: null, exit });
    this.#options.notify({ type: "ended", id: this.spec.id, exit });
  }

  #setPaused(paused: boolean): void {
    const { run } = this.#record;
    if (this.#run === undefined || run === null) {
      throw new EngineError("start_failed", "Only a running sandbox can be paused");
    }
    if (run.paused === paused) return;
    if (paused) this.#run.pause();
    else this.#run.resume();
    this.#trySave({ run: { ...run, paused } });
  }

  /** For what has happened already and is true whether the disk takes it or not. */
  #trySave(change: Partial<SandboxRecord>): void {
    try {
      this.#save(change);
    } catch (error) {
      this.#options.logger.error({ err: error, sandbox: this.spec.id }, "cannot record the state of a sandbox");
    }
  }

  #save(change: Partial<SandboxRecord>): void {
    this.#record = { ...this.#record, ...change };
    writeRecord(join(this.#options.directory, "record.json"), this.#record);
  }
}

function startFailed(error: unknown): EngineError {
  if (error instanceof EngineError) return error;
  return new EngineError("start_failed", `Cannot start it: ${(error as Error).message}`, { cause: error });
}

/** Where start times are not told, ps knows them to the second. */
function isOurs({ pid, startedAt }: RunRecord): boolean {
  if (hasProcessTable) return true;
  return pid !== null && Math.abs((startedAtByPs(pid) ?? 0) - startedAt) < 2_000;
}
