import type { EngineCapabilities } from "../sandbox-engine.ts";
import { runtimesToChoose } from "./container-runtime.ts";
import type { DockerClient } from "./docker-client.ts";
import { hasMemoryHigh } from "./memory-high.ts";
import { canReclaim, reclaimDetail } from "./memory-reclaim.ts";
import { probeOpenFiles, wantedOpenFiles } from "./open-file-limit.ts";

export type DaemonFactsOptions = {
  readonly client: DockerClient;
  readonly image: string;
  readonly memoryHigh: boolean;
  /** null: the daemon's default. */
  readonly runtime: string | null;
  readonly labels: Readonly<Record<string, string>>;
  /** How disks are limited, or why not. */
  readonly disk: string;
};

type Info = {
  readonly Runtimes?: Record<string, unknown>;
  readonly CgroupDriver?: string;
  readonly CgroupVersion?: string;
  readonly SwapLimit?: boolean;
  readonly BridgeNfIptables?: boolean;
  readonly SecurityOptions?: readonly string[];
};

/** What this daemon can do on this machine, each thing found out once. */
export class DaemonFacts {
  readonly #options: DaemonFactsOptions;
  #openFiles: Promise<number | undefined> | undefined;

  constructor(options: DaemonFactsOptions) {
    this.#options = options;
  }

  /** The limit of open files that a container can have. Throws `image_not_found`: it takes a container to find out. */
  openFiles(): Promise<number | undefined> {
    const { client, image, labels } = this.#options;
    this.#openFiles ??= client.use((docker) => probeOpenFiles(docker, { image, labels: { ...labels } }));
    this.#openFiles.catch(() => {
      this.#openFiles = undefined;
    });
    return this.#openFiles;
  }

  async capabilities(): Promise<EngineCapabilities> {
    const { client } = this.#options;
    const [daemon, info] = await Promise.all([
      client.connect(),
      client.use((docker) => docker.info() as Promise<Info>),
    ]);
    return {
      pause: true,
      reclaim: canReclaim(),
      runtimes: runtimesToChoose(Object.keys(info.Runtimes ?? {}), this.#options.runtime),
      terminal: true,
      details: {
        version: daemon.version,
        apiVersion: daemon.apiVersion,
        cgroupVersion: info.CgroupVersion ?? "unknown",
        runtimes: Object.keys(info.Runtimes ?? {})
          .sort()
          .join(", "),
        security: (info.SecurityOptions ?? []).join(", "),
        openFiles: await this.#openFilesDetail(),
        memoryHigh: this.#memoryHighDetail(),
        reclaim: reclaimDetail(),
        limits:
          info.CgroupDriver === "none" ? "none hold: the daemon runs without cgroups" : "of memory, CPU and processes",
        swapLimit: info.SwapLimit ? "enforced" : "not enforced by this kernel",
        betweenSandboxes: info.BridgeNfIptables
          ? "blocked by the network"
          : "not blocked by the network: the kernel's bridge does not ask iptables (br_netfilter)",
        disk: this.#options.disk,
      },
    };
  }

  async #openFilesDetail(): Promise<string> {
    try {
      const limit = await this.openFiles();
      if (limit === undefined) return "the daemon's default";
      return limit < wantedOpenFiles ? `${limit} (the daemon's own limit, below ${wantedOpenFiles})` : String(limit);
    } catch (error) {
      return `not known: ${(error as Error).message}`;
    }
  }

  #memoryHighDetail(): string {
    if (!this.#options.memoryHigh) return "off";
    return hasMemoryHigh() ? "set after each start" : "not set: it needs cgroup v2";
  }
}
