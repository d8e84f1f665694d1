import type { Listeners } from "#contract/gateway-api.ts";
import type { SandboxId } from "#contract/sandbox-id.ts";

/**
 * What runs sandboxes. The caller serialises the calls for one sandbox (the keyed lock); calls for different sandboxes
 * run side by side. Every failure is an EngineError.
 */
export interface SandboxEngine {
  readonly kind: "docker" | "process";

  /** Resolves when the engine answers; throws `engine_unavailable` within two seconds otherwise. */
  ping(): Promise<void>;

  /** What this engine can do on this machine, found out once at the start. */
  capabilities(): Promise<EngineCapabilities>;

  /** Where packets of sandboxes come from, on this machine; null where sandboxes have no network of their own. */
  network(): Promise<EngineNetwork | null>;

  /**
   * Makes sure that a container (or what stands for it) with exactly this specification exists, stopped or running; one
   * with another specification is replaced, which ends it. The workspace is seeded the first time and then left alone.
   */
  ensure(spec: SandboxSpec): Promise<void>;

  /**
   * Brings an ensured sandbox to this state and returns when it is there; already there is fine. Stopping sends SIGTERM
   * to the whole sandbox and SIGKILL after `graceSeconds`. Pausing throws `unsupported` where capabilities say so.
   */
  setDesired(id: SandboxId, desired: DesiredState, options?: { graceSeconds?: number }): Promise<EngineState>;

  /** Ends it and removes all but the workspace; with `workspace: true` the workspace as well. Absent is fine. */
  remove(id: SandboxId, options: { workspace: boolean }): Promise<void>;

  inspect(id: SandboxId): Promise<EngineState>;

  /** Every sandbox that this engine holds, whoever made it. */
  list(): Promise<readonly EngineState[]>;

  /** What it takes of the machine, and how often it came to its limits in the present run. */
  usage(id: SandboxId): Promise<EngineUsage>;

  /**
   * Changes the limit of a workspace's disk, in use too where that is possible, else with the next start; null is no limit.
   * Absent is fine. Throws `unsupported` for what can never be.
   */
  setDisk(id: SandboxId, bytes: number | null): Promise<void>;

  /** Has `swap` put another directory into the place of a workspace; the sandbox is not up. */
  replaceWorkspace(id: SandboxId, swap: () => Promise<void>): Promise<void>;

  /** What a workspace takes of the disk, and the limit that is in force. */
  disk(id: SandboxId): Promise<EngineDisk>;

  /**
   * Has the kernel take back what a paused sandbox occupies, as much as it can. It never wakes it, and a wake does not
   * wait for it. Throws `unsupported` where capabilities say so.
   */
  reclaim(id: SandboxId): Promise<void>;

  /** Ports that something in a running sandbox listens on. */
  listeners(id: SandboxId): Promise<Listeners>;

  /**
   * The last `tail` lines (default: all that are kept), then with `follow` each new one, over the ends of runs, until the
   * signal aborts or the sandbox is removed or replaced.
   */
  logs(id: SandboxId, options: { tail?: number; follow?: boolean; signal?: AbortSignal }): AsyncIterable<LogLine>;

  /**
   * Starts a command in a running sandbox, as the sandbox's user and with its environment, and resolves once it runs. What
   * it starts belongs to it: an abort of the signal, or leaving the output before its end, ends all of that; what is left
   * in the background when the command itself ends lives on with the sandbox. The caller reads what it says from then on.
   * Throws `start_failed`.
   */
  exec(id: SandboxId, command: ExecCommand, options: { signal: AbortSignal }): Promise<AsyncIterable<ExecEvent>>;

  /**
   * Starts a shell on a terminal of its own in a running sandbox, as `exec()` would. Whoever gets it reads its output from
   * then on. Throws `start_failed`, and `unsupported` where capabilities say so.
   */
  terminal(id: SandboxId, size: TerminalSize): Promise<EngineTerminal>;

  /**
   * Calls `listener` with each start and end that happens to a sandbox, whoever caused it, within a second. After a gap
   * (the engine was away) it calls with `resync`, so that the listener inspects anew. Returns what ends the watch.
   */
  watch(listener: (event: EngineEvent) => void): () => void;

  /** Lets go of connections and files. Process-engine sandboxes end; containers live on. */
  close(): Promise<void>;
}

export type DesiredState = "running" | "paused" | "stopped";

export type EngineCapabilities = {
  readonly pause: boolean;
  /** Whether memory of a paused sandbox can be taken back. */
  readonly reclaim: boolean;
  /** What else than the configured runtime a sandbox may ask for. */
  readonly runtimes: readonly string[];
  /** Whether a shell can have a terminal here. */
  readonly terminal: boolean;
  /** Facts for an operator, such as the API version, limits the daemon lowers, runtimes. */
  readonly details: Readonly<Record<string, string>>;
};

/** null wherever the sandbox is not up, nobody counts or nothing limits. */
export type EngineUsage = {
  readonly memory: {
    /** What its processes occupy, without file pages that can be dropped. */
    readonly usedBytes: number | null;
    readonly limitBytes: number | null;
    /** How often more was asked for than there was: the kernel found some, or ended a process. */
    readonly refused: number | null;
  };
  readonly processes: {
    readonly count: number | null;
    readonly limit: number | null;
    /** How many could not be started. */
    readonly refused: number | null;
  };
  readonly cpu: {
    readonly usedSeconds: number | null;
    /** Cores. */
    readonly limit: number | null;
    /** How long its processes were held back because it had used up its share. */
    readonly throttledSeconds: number | null;
  };
};

/** What is known of a sandbox that is not up, or where nobody counts. */
export const unknownUsage: EngineUsage = {
  memory: { usedBytes: null, limitBytes: null, refused: null },
  processes: { count: null, limit: null, refused: null },
  cpu: { usedSeconds: null, limit: null, throttledSeconds: null },
};

/** Bytes; null: nobody counts, or no limit. */
export type EngineDisk = {
  /** How disks are limited: `loop`, `btrfs`, `xfs` or `none`. */
  readonly driver: string;
  readonly usedBytes: number | null;
  readonly limitBytes: number | null;
};

/** A bridge with one port for each sandbox. */
export type EngineNetwork = {
  /** The name of its interface. */
  readonly bridge: string;
  /** CIDR blocks. */
  readonly subnets: readonly string[];
};

/** All that shapes a container. Two equal specifications mean: nothing to replace. */
export type SandboxSpec = {
  readonly id: SandboxId;
  /** Declared ports, at least one. */
  readonly ports: readonly number[];
  /** null: the engine's default image. The process engine ignores it. */
  readonly image: string | null;
  /** null: the image's own command. The process engine needs one. */
  readonly cmd: readonly string[] | null;
  readonly env: Readonly<Record<string, string>>;
  /** Secrets as they are kept: the engine opens them when it makes what runs, and keeps them no other way. */
  readonly sealedEnv: Readonly<Record<string, string>>;
  /** Bytes; null: no soft limit. */
  readonly memoryHighBytes: number | null;
  /** Bytes; memory and swap together. */
  readonly memoryMaxBytes: number;
  /** Cores; null: no limit besides the shares. */
  readonly cpu: number | null;
  /** One of those in the capabilities; null: the configured one. */
  readonly runtime: string | null;
  /** Bytes; null: no quota. */
  readonly diskBytes: number | null;
};

export type EngineState = {
  readonly id: SandboxId;
  readonly state: "running" | "paused" | "exited" | "missing";
  /** How the last run ended; null while it runs, before its first start and when nobody was there to see it end. */
  readonly exit: EngineExit | null;
  /** When the present run began, epoch milliseconds; null unless running or paused. */
  readonly startedAt: number | null;
  /** Where each declared port is dialled; empty unless running or paused. */
  readonly endpoints: readonly EngineEndpoint[];
  /** What it is known by on the sandboxes' network; empty unless running or paused, and where there is none. */
  readonly addresses: readonly string[];
  /** The engine's own words for an operator: container id and image, or pid. */
  readonly runtime: Readonly<Record<string, string | number | boolean | null>>;
};

export type EngineEndpoint = { readonly port: number; readonly address: string; readonly upstreamPort: number };

/** An end that was seen. Code and signal are both null where the system told no more than that. */
export type EngineExit = {
  /** null when a signal ended it. */
  readonly code: number | null;
  readonly signal: string | null;
  readonly outOfMemory: boolean;
};

export type EngineEvent =
  | { readonly type: "started"; readonly id: SandboxId }
  | { readonly type: "ended"; readonly id: SandboxId; readonly exit: EngineExit }
  | { readonly type: "resync" };

export type LogLine = {
  readonly stream: "stdout" | "stderr";
  /** Epoch milliseconds. */
  readonly time: number;
  /** Without the line end; at most 16 KiB, longer ones are split. */
  readonly line: string;
};

export type ExecCommand = {
  readonly cmd: readonly string[];
  /** Where it begins, below the sandbox's home. */
  readonly cwd: string;
  /** Over the sandbox's own. */
  readonly env: Readonly<Record<string, string>>;
  /** All that it can read from its standard input. */
  readonly stdin: string;
};

/** What a command says, as it says it, and how it ended: the last one. Whoever reads slowly slows the command down. */
export type ExecEvent =
  | { readonly type: "output"; readonly stream: "stdout" | "stderr"; readonly bytes: Buffer }
  | { readonly type: "exit"; readonly exit: EngineExit };

export type TerminalSize = { readonly columns: number; readonly rows: number };

/** A shell that runs on a terminal. */
export type EngineTerminal = {
  /** What it shows, until it ends. Whoever reads slowly slows it down. */
  readonly output: AsyncIterable<Buffer>;
  /** How it ended; settles after the output. */
  readonly exit: Promise<EngineExit>;
  /** What is typed. Resolves when there is room for more. */
  write(bytes: Buffer): Promise<void>;
  resize(size: TerminalSize): Promise<void>;
  /** Ends it with all that it started. */
  end(): Promise<void>;
};

export type EngineErrorCode = "engine_unavailable" | "image_not_found" | "start_failed" | "unsupported";

/** The one error of engines. `cause` is kept. */
export class EngineError extends Error {
  override readonly name = "EngineError";
  readonly code: EngineErrorCode;

  constructor(code: EngineErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
