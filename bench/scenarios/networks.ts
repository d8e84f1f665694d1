import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { performance } from "node:perf_hooks";
import { promisify } from "node:util";
import Docker from "dockerode";
import { buildSandboxImage } from "../../control/engines/docker/test-image.ts";
import { dockerSocket } from "../../e2e/parts/parts.ts";
import type { Measurement, Scenario } from "../scenario.ts";
import { median } from "../statistics.ts";

const execute = promisify(execFile);
const docker = new Docker({ socketPath: dockerSocket, host: undefined });
/** Medians are taken over so many of the first and of the last. */
const window = 10;

/** What it costs to keep many sandboxes apart: all on one bridge, against a bridge and a small subnet for each. */
export const networks: Scenario = {
  name: "networks",
  parts: ["docker", "images", "nftables"],
  async run({ scale, note }) {
    const count = scale.networks;
    const results: Measurement[] = [];
    for (const layout of [oneBridge, bridgeEach]) {
      note(`${count} sandboxes, ${layout.name}`);
      await using fleet = new Fleet();
      const measured = await measure(layout, fleet, count);
      // Many of them take so long that the first half shall not be lost with the second.
      for (const { name, value, unit } of measured) note(`${name}: ${value.toFixed(1)} ${unit}`);
      results.push(...measured);
    }
    note("ports of a bridge");
    results.push({ name: "networks: ports of one bridge, at most", value: await mostPorts(), unit: "" });
    return results;
  },
};

type Layout = {
  readonly name: string;
  /** Makes what the next container needs, and tells its network. */
  readonly place: (fleet: Fleet, index: number) => Promise<string>;
};

const oneBridge: Layout = {
  name: "one bridge",
  place: async (fleet, index) => {
    if (index === 0) await fleet.makeNetwork("10.213.0.0/20");
    return fleet.networks[0]!;
  },
};

/** The default address pools of a daemon are used up by thirty networks, so each subnet is named. */
const bridgeEach: Layout = {
  name: "a bridge each",
  place: (fleet, index) => fleet.makeNetwork(`10.213.${index >> 5}.${(index & 31) << 3}/29`),
};

async function measure({ name, place }: Layout, fleet: Fleet, count: number): Promise<readonly Measurement[]> {
  const before = await availableMib();
  const rulesBefore = await rules();
  const times = { place: [] as number[], start: [] as number[] };
  for (let index = 0; index < count; index++) {
    const begun = performance.now();
    const container = await fleet.makeContainer(await place(fleet, index));
    const placed = performance.now();
    await container.start();
    times.place.push(placed - begun);
    times.start.push(performance.now() - placed);
  }
  const ofFirst = (values: number[]) => median(values.slice(0, window));
  const ofLast = (values: number[]) => median(values.slice(-window));
  const row = (what: string, value: number, unit: string): Measurement => ({
    name: `networks: ${name}, ${what}`,
    value,
    unit,
  });
  return [
    row("created, the first", ofFirst(times.place), "ms"),
    row(`created, of ${count} the last`, ofLast(times.place), "ms"),
    row("started, the first", ofFirst(times.start), "ms"),
    row(`started, of ${count} the last`, ofLast(times.start), "ms"),
    row("memory of the machine for each", (before - (await availableMib())) / count, "MiB"),
    row("Docker's own rules for each", ((await rules()) - rulesBefore) / count, ""),
  ];
}

/** Networks and containers of one layout; disposing removes them. */
class Fleet implements AsyncDisposable {
  readonly networks: string[] = [];
  readonly #label = `sandboxd.bench=${randomUUID()}`;
  readonly #containers: Docker.Container[] = [];
  #image: Promise<string> | undefined;

  async makeNetwork(subnet: string): Promise<string> {
    const name = `sandboxd-bench-${randomUUID().slice(0, 8)}`;
    await docker.createNetwork({
      Name: name,
      Driver: "bridge",
      IPAM: { Driver: "default", Config: [{ Subnet: subnet }] },
      Options: { "com.docker.network.bridge.enable_icc": "false" },
    });
    this.networks.push(name);
    return name;
  }

  async makeContainer(network: string): Promise<Docker.Container> {
    this.#image ??= buildSandboxImage();
    const container = await docker.createContainer({
      Image: await this.#image,
      Cmd: ["sleep", "infinity"],
      Labels: Object.fromEntries([this.#label.split("=") as [string, string]]),
      HostConfig: { NetworkMode: network, Init: true },
    });
    this.#containers.push(container);
    return container;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const left = [...this.#containers];
    const removeSome = async () => {
      for (let next = left.pop(); next !== undefined; next = left.pop()) await next.remove({ force: true });
    };
    await Promise.all(Array.from({ length: 4 }, removeSome));
    for (const name of this.networks) await docker.getNetwork(name).remove();
  }
}

async function availableMib(): Promise<number> {
  return Number(/^MemAvailable:\s+(\d+) kB$/m.exec(await readFile("/proc/meminfo", "utf8"))![1]) / 1024;
}

/** As iptables has them, of all chains. */
async function rules(): Promise<number> {
  const tables = await Promise.all(["filter", "nat"].map((table) => run("iptables", "-t", table, "-S")));
  return tables.join("").match(/^-A /gm)?.length ?? 0;
}

/** Tries in a network namespace, without containers. */
async function mostPorts(): Promise<number> {
  const namespace = `bench-${randomUUID().slice(0, 8)}`;
  await run("ip", "netns", "add", namespace);
  try {
    const lines = ["link add br0 type bridge"];
    for (let port = 0; port < 1_100; port++)
      lines.push(`link add p${port} type veth peer name q${port}`, `link set p${port} master br0`);
    const batch = execute("ip", ["-n", namespace, "-force", "-batch", "-"], { env: environment });
    batch.child.stdin?.end(`${lines.join("\n")}\n`);
    await batch.catch(() => {});
    return (await run("ip", "-n", namespace, "-o", "link", "show", "master", "br0")).trim().split("\n").length;
  } finally {
    await run("ip", "netns", "del", namespace);
  }
}

const environment = { PATH: `${process.env.PATH}:/usr/sbin:/sbin` };

async function run(program: string, ...args: string[]): Promise<string> {
  return (await execute(program, args, { env: environment, maxBuffer: 64 * 2 ** 20 })).stdout;
}
