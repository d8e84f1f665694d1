import { createHash } from "node:crypto";
import type Docker from "dockerode";
import type { EngineNetwork } from "../sandbox-engine.ts";
import { labels } from "./container-options.ts";
import { statusOf } from "./docker-client.ts";

/** The bridge network of the sandboxes. Containers on it do not reach each other. */
export class SandboxNetwork {
  readonly #name: string;
  readonly #labels: Readonly<Record<string, string>>;
  #ensuring: Promise<void> | undefined;

  constructor(name: string, extraLabels: Readonly<Record<string, string>>) {
    this.#name = name;
    this.#labels = extraLabels;
  }

  /**
   * Makes the network unless there is one. The daemon makes two of one name when two are asked for at once, and then no
   * container can be put into either: all who come meanwhile wait for the first, and what an earlier control left twice is
   * removed but for the oldest.
   */
  ensure(docker: Docker): Promise<void> {
    this.#ensuring ??= this.#ensure(docker).finally(() => {
      this.#ensuring = undefined;
    });
    return this.#ensuring;
  }

  /** What packets on it are told by; it is made when there is none. */
  async describe(docker: Docker): Promise<EngineNetwork> {
    await this.ensure(docker);
    const { Id, Options, IPAM } = (await docker.getNetwork(this.#name).inspect()) as Docker.NetworkInspectInfo;
    const subnets = (IPAM?.Config ?? []).flatMap(({ Subnet }) => Subnet ?? []);
    return { bridge: Options?.["com.docker.network.bridge.name"] ?? `br-${Id.slice(0, 12)}`, subnets };
  }

  async #ensure(docker: Docker): Promise<void> {
    if ((await this.#ids(docker)).length === 0) await this.#create(docker);
    const [, ...others] = await this.#ids(docker);
    for (const id of others) {
      try {
        await docker.getNetwork(id).remove();
      } catch (error) {
        // Something is in it, or it is gone.
        if (statusOf(error) !== 403 && statusOf(error) !== 404) throw error;
      }
    }
  }

  /** Of all the networks of this name, the oldest first. */
  async #ids(docker: Docker): Promise<readonly string[]> {
    const alike = await docker.listNetworks({ filters: { name: [this.#name] } });
    const ours = alike.filter(({ Name }) => Name === this.#name);
    return ours.sort((a, b) => Date.parse(a.Created) - Date.parse(b.Created)).map(({ Id }) => Id);
  }

  async #create(docker: Docker): Promise<void> {
    try {
      await docker.createNetwork({
        Name: this.#name,
        Driver: "bridge",
        CheckDuplicate: true,
        Options: {
          "com.docker.network.bridge.enable_icc": "false",
          // Rules that name it hold for a network that is made anew, too.
          "com.docker.network.bridge.name": bridgeName(this.#name),
        },
        Labels: { ...this.#labels, [labels.managed]: "true" },
      });
    } catch (error) {
      // Somebody else was faster.
      if (statusOf(error) !== 409) throw error;
    }
  }
}

/** The same for every network of this name; the kernel takes 15 bytes. */
function bridgeName(network: string): string {
  return `sbx${createHash("sha256").update(network).digest("hex").slice(0, 12)}`;
}
