import { createHash } from "node:crypto";
import { join } from "node:path";
import type { ContainerCreateOptions } from "dockerode";
import type { SandboxId } from "#contract/sandbox-id.ts";
import type { SandboxSpec } from "../sandbox-engine.ts";
import { sandboxEnvironment } from "../sandbox-environment.ts";
import { openEnvironment, type SecretOpener } from "../sealed-environment.ts";

/** Who the sandbox's processes are; the image has a user of this number. */
export const sandboxUser = 1000;
export const home = "/home/sandbox";

export const labels = {
  managed: "sandboxed.managed",
  id: "sandboxed.id",
  /** The declared ports, separated by commas. */
  ports: "sandboxed.ports",
  /** A hash of everything that shapes the container. */
  specification: "sandboxed.specification",
  /** Bytes. Docker has no such setting, so it is applied after each start. */
  memoryHigh: "sandboxed.memory-high",
  /** A container of ours that is no sandbox and lives for a moment. */
  helper: "sandboxed.helper",
} as const;

/** What is the same for every container of an engine. */
export type ContainerConfig = {
  /** For sandboxes that name none. */
  readonly image: string;
  readonly network: string;
  /** `host` switches user namespace remapping off, if the daemon has it on, so that files keep their owner. */
  readonly usernsMode: "host" | "";
  /** Of sandboxes that name none; null: the daemon's default. */
  readonly runtime: string | null;
  /** Whether `memoryHighBytes` is heeded. */
  readonly memoryHigh: boolean;
  /** Most open files; undefined leaves it to the daemon. */
  readonly noFile: number | undefined;
  /** The directory of the workspaces as the daemon sees it. */
  readonly hostWorkspaces: string;
  /** What it opens is in the container's environment: whoever may ask the daemon sees it too. */
  readonly secrets: SecretOpener;
  /** Labels besides ours. */
  readonly labels: Readonly<Record<string, string>>;
};

/** What tells the sandboxes of an engine from other containers, as the daemon's filters take it. */
export function labelFilters(extra: Readonly<Record<string, string>>): string[] {
  return Object.entries({ ...extra, [labels.managed]: "true" }).map(([name, value]) => `${name}=${value}`);
}

export function containerName(id: SandboxId): string {
  return `s-${id.toLowerCase()}`;
}

/**
 * The hardened container of a sandbox: nothing of the host to write to but the workspace, no privilege to gain, bounded
 * memory, processes and files, no published port.
 */
export function containerOptions(
  spec: SandboxSpec,
  config: ContainerConfig,
): ContainerCreateOptions & { name: string } {
  const options = { ...process(spec, config), HostConfig: hostConfig(spec, config) };
  const specification = createHash("sha256").update(JSON.stringify(options)).digest("hex");
  return {
    ...options,
    name: containerName(spec.id),
    Labels: { ...options.Labels, [labels.specification]: specification },
  };
}

function process(spec: SandboxSpec, config: ContainerConfig) {
  const ports = spec.ports.map((port) => ({ port, upstreamPort: port }));
  const sorted = Object.fromEntries(
    Object.entries(openEnvironment(spec, config.secrets)).sort(([left], [right]) => (left < right ? -1 : 1)),
  );
  // The init process passes SIGTERM on to the whole group with this, not just to its child.
  const env = { HOME: home, TINI_KILL_PROCESS_GROUP: "1", ...sandboxEnvironment(sorted, ports, "0.0.0.0") };
  const isHigh = config.memoryHigh && spec.memoryHighBytes !== null;
  return {
    Image: spec.image ?? config.image,
    // With a command of its own the image's entry point is not wanted, as it would be on no other engine.
    ...(spec.cmd !== null && { Cmd: [...spec.cmd], Entrypoint: [] }),
    Env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
    User: `${sandboxUser}:${sandboxUser}`,
    WorkingDir: join(home, "workspace", "app"),
    Hostname: containerName(spec.id),
    StopSignal: "SIGTERM",
    // A health check of the image would run a process in a sandbox that nobody uses.
    Healthcheck: { Test: ["NONE"] },
    Labels: {
      ...config.labels,
      [labels.managed]: "true",
      [labels.id]: spec.id,
      [labels.ports]: spec.ports.join(","),
      ...(isHigh && { [labels.memoryHigh]: String(spec.memoryHighBytes) }),
    },
  };
}

function hostConfig(spec: SandboxSpec, config: ContainerConfig) {
  const { noFile } = config;
  const runtime = spec.runtime ?? config.runtime;
  return {
    CapDrop: ["ALL"],
    SecurityOpt: ["no-new-privileges"],
    ReadonlyRootfs: true,
    Tmpfs: { "/tmp": tmpfs("512m"), "/var/tmp": tmpfs("128m") },
    Mounts: [{ Type: "bind" as const, Source: join(config.hostWorkspaces, spec.id), Target: home, ReadOnly: false }],
    Memory: spec.memoryMaxBytes,
    MemorySwap: spec.memoryMaxBytes,
    PidsLimit: 1024,
    ...(noFile !== undefined && { Ulimits: [{ Name: "nofile", Soft: noFile, Hard: noFile }] }),
    CpuShares: 100,
    ...(spec.cpu !== null && { NanoCpus: Math.round(spec.cpu * 1e9) }),
    Init: true,
    UsernsMode: config.usernsMode,
    ...(runtime !== null && { Runtime: runtime }),
    NetworkMode: config.network,
    RestartPolicy: { Name: "no" },
    LogConfig: { Type: "json-file", Config: { "max-size": "10m", "max-file": "2" } },
  };
}

// Development tools unpack programs there, so what is in it may be executed.
const tmpfs = (size: string) => `rw,exec,nosuid,nodev,size=${size},mode=1777`;

/** Volumes that an image declares would be disk to write to, outside of the workspace: a small tmpfs is there instead. */
export function withoutVolumes<T extends ContainerCreateOptions>(options: T, volumes: readonly string[]): T {
  const extra = volumes.filter((path) => path !== home && options.HostConfig?.Tmpfs?.[path] === undefined);
  if (extra.length === 0) return options;
  const Tmpfs = { ...options.HostConfig?.Tmpfs, ...Object.fromEntries(extra.map((path) => [path, tmpfs("64m")])) };
  return { ...options, HostConfig: { ...options.HostConfig, Tmpfs } };
}
