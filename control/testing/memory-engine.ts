import type { Listeners } from "#contract/gateway-api.ts";
import type { SandboxId } from "#contract/sandbox-id.ts";
import type {
  DesiredState,
  EngineCapabilities,
  EngineDisk,
  EngineEvent,
  EngineExit,
  EngineState,
  EngineTerminal,
  EngineUsage,
  ExecCommand,
  ExecEvent,
  LogLine,
  SandboxEngine,
  SandboxSpec,
} from "../engines/sandbox-engine.ts";
import { EngineError, unknownUsage } from "../engines/sandbox-engine.ts";

type Held = { readonly begun: Promise<void>; readonly release: () => void };
type Gate = { begun: () => void; released: Promise<void> };

/** An engine without processes, whose every step a test can hold, fail or watch. */
export class MemoryEngine implements SandboxEngine {
  readonly kind: SandboxEngine["kind"] = "docker";
  readonly specs = new Map<SandboxId, SandboxSpec>();
  readonly states = new Map<SandboxId, EngineState>();
  /** Every call that changes something: `ensure`, `running`, `paused`, `stopped`, `remove` … */
  readonly calls: string[] = [];
  readonly log: LogLine[] = [];
  /** What each sandbox occupies, in bytes. */
  readonly memory = new Map<SandboxId, number>();
  canPause = true;
  /** The commands that were started; each says itself and lasts until it is ended. */
  readonly execs: { readonly id: SandboxId; readonly command: ExecCommand; readonly end: (code: number) => void }[] =
    [];
  readonly #watchers = new Set<(event: EngineEvent) => void>();
  readonly #failures = new Map<string, EngineError>();
  readonly #gates = new Map<string, Gate>();
  #clock = Date.now();

  /** The next call of this kind fails. */
  failNext(call: string, error: EngineError): void {
    this.#failures.set(call, error);
  }

  /** The next call of this kind waits until it is released. */
  hold(call: string): Held {
    const begun = Promise.withResolvers<void>();
    const released = Promise.withResolvers<void>();
    this.#gates.set(call, { begun: begun.resolve, released: released.promise });
    return { begun: begun.promise, release: released.resolve };
  }

  /** The sandbox ends by itself. */
  exit(id: SandboxId, exit: Partial<EngineExit> = {}): void {
    const ended = { code: 1, signal: null, outOfMemory: false, ...exit };
    this.states.set(id, { ...this.#state(id, "exited"), exit: ended });
    this.emit({ type: "ended", id, exit: ended });
  }

  emit(event: EngineEvent): void {
    for (const watcher of this.#watchers) watcher(event);
  }

  async ping(): Promise<void> {
    await this.#step("ping", { silent: true });
  }

  async capabilities(): Promise<EngineCapabilities> {
    return { pause: this.canPause, reclaim: this.canPause, runtimes: ["runsc"], terminal: false, details: {} };
  }

  async setDisk(_: SandboxId, bytes: number | null): Promise<void> {
    await this.#step(`disk ${bytes}`);
  }

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
    await this.#step("ensure");
    this.specs.set(spec.id, spec);
    if (!this.states.has(spec.id)) this.states.set(spec.id, this.#state(spec.id, "exited"));
  }

  async setDesired(id: SandboxId, desired: DesiredState): Promise<EngineState> {
    const before = this.states.get(id);
    await this.#step(desired);
    const state = this.#state(id, desired === "stopped" ? "exited" : desired);
    if (before?.state === "paused" && desired === "running") Object.assign(state, { startedAt: before.startedAt });
    if (before?.state === "running" && desired === "paused") Object.assign(state, { startedAt: before.startedAt });
    this.states.set(id, state);
    this.emit(desired === "stopped" ? { type: "ended", id, exit: stopped } : { type: "started", id });
    return state;
  }

  async remove(id: SandboxId, { workspace }: { workspace: boolean }): Promise<void> {
    await this.#step(workspace ? "remove with workspace" : "remove");
    this.states.delete(id);
  }

  async inspect(id: SandboxId): Promise<EngineState> {
    await this.#step("inspect", { silent: true });
    return this.states.get(id) ?? { ...this.#state(id, "missing"), endpoints: [], startedAt: null };
  }

  async list(): Promise<readonly EngineState[]> {
    await this.#step("list", { silent: true });
    return [...this.states.values()];
  }

  async usage(id: SandboxId): Promise<EngineUsage> {
    return { ...unknownUsage, memory: { ...unknownUsage.memory, usedBytes: this.memory.get(id) ?? null } };
  }

  async reclaim(): Promise<void> {
    await this.#step("reclaim");
  }

  async listeners(): Promise<Listeners> {
    return { reachable: [3000], loopbackOnly: [] };
  }

  async *logs(_: SandboxId, { tail, signal }: { tail?: number; signal?: AbortSignal }): AsyncGenerator<LogLine> {
    if (!signal?.aborted) yield* tail === undefined ? this.log : this.log.slice(-tail);
  }

  async exec(
    id: SandboxId,
    command: ExecCommand,
    { signal }: { signal: AbortSignal },
  ): Promise<AsyncIterable<ExecEvent>> {
    await this.#step("exec", { silent: true });
    const ended = Promise.withResolvers<EngineExit>();
    this.execs.push({ id, command, end: (code) => ended.resolve({ code, signal: null, outOfMemory: false }) });
    const kill = () => ended.resolve({ code: null, signal: "SIGKILL", outOfMemory: false });
    if (signal.aborted) kill();
    signal.addEventListener("abort", kill);
    return (async function* () {
      yield { type: "output", stream: "stdout", bytes: Buffer.from(command.cmd.join(" ")) };
      yield { type: "exit", exit: await ended.promise };
    })();
  }

  async terminal(): Promise<EngineTerminal> {
    throw new EngineError("unsupported", "no terminal");
  }

  watch(listener: (event: EngineEvent) => void): () => void {
    this.#watchers.add(listener);
    return () => this.#watchers.delete(listener);
  }

  async close(): Promise<void> {}

  #state(id: SandboxId, state: EngineState["state"]): EngineState {
    const isUp = state === "running" || state === "paused";
    const ports = this.specs.get(id)?.ports ?? [3000];
    const endpoints = ports.map((port) => ({ port, address: "127.0.0.1", upstreamPort: port }));
    return {
      id,
      state,
      exit: null,
      startedAt: isUp ? ++this.#clock : null,
      endpoints: isUp ? endpoints : [],
      addresses: isUp ? ["127.0.0.1"] : [],
      runtime: {},
    };
  }

  async #step(call: string, { silent = false } = {}): Promise<void> {
    if (!silent) this.calls.push(call);
    const gate = this.#gates.get(call);
    this.#gates.delete(call);
    gate?.begun();
    await gate?.released;
    const failure = this.#failures.get(call);
    this.#failures.delete(call);
    if (failure !== undefined) throw failure;
  }
}

const stopped: EngineExit = { code: 0, signal: null, outOfMemory: false };
