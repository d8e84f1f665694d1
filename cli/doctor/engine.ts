import type { CliConfig } from "../config.ts";
import { type Answer, ask, isSilent, type Silence } from "../http.ts";
import { check, fail, ok, type Verdict, warn } from "./check.ts";

/** The engine that runs sandboxes, asked at its own socket. */
export const engine = check("engine", askEngine, judgeEngine);

export type EngineFacts = {
  readonly info: Info | Silence;
  /** Statuses of asking for the image and the network: 200, 404. */
  readonly image: Answer | Silence;
  readonly network: Answer | Silence;
  /** Containers that are named as sandboxes are in the original. */
  readonly originals: readonly string[];
};

export type Info = {
  readonly ServerVersion?: string;
  readonly Runtimes?: Readonly<Record<string, unknown>>;
  readonly CgroupDriver?: string;
  readonly CgroupVersion?: string;
  readonly SwapLimit?: boolean;
  readonly BridgeNfIptables?: boolean;
};

async function askEngine(config: CliConfig, signal: AbortSignal): Promise<EngineFacts | undefined> {
  if (config.engine === "process") return undefined;
  const { dockerSocket: socketPath, image, network } = config;
  const filters = encodeURIComponent(JSON.stringify({ name: ["^/s-[0-9A-Z]{26}$"] }));
  const [info, imageAnswer, networkAnswer, containers] = await Promise.all([
    ask({ socketPath, path: "/info" }, signal),
    ask({ socketPath, path: `/images/${encodeURIComponent(image)}/json` }, signal),
    ask({ socketPath, path: `/networks/${encodeURIComponent(network)}` }, signal),
    ask({ socketPath, path: `/containers/json?all=true&filters=${filters}` }, signal),
  ]);
  return { info: toInfo(info), image: imageAnswer, network: networkAnswer, originals: toNames(containers) };
}

function toInfo(answer: Answer | Silence): Info | Silence {
  if (isSilent(answer)) return answer;
  try {
    return answer.status === 200 ? JSON.parse(answer.body) : { silence: `${answer.status} ${answer.body.trim()}` };
  } catch {
    return { silence: "not JSON" };
  }
}

function toNames(answer: Answer | Silence): readonly string[] {
  if (isSilent(answer) || answer.status !== 200) return [];
  return (JSON.parse(answer.body) as { Names: string[] }[]).map(({ Names }) => Names[0]!.slice(1));
}

type Expected = Pick<CliConfig, "dockerSocket" | "image" | "network" | "runtime">;

/** The first release whose API control was written for. */
const oldest = [20, 10] as const;

export function judgeEngine(facts: EngineFacts | undefined, config: Expected): readonly Verdict[] {
  if (facts === undefined)
    return [warn("sandboxes are processes of this machine, without isolation", "SANDBOXD_ENGINE=docker")];
  const { info, image, network, originals } = facts;
  if (isSilent(info)) return [judgeSilence(info, config)];
  const verdicts = [...judgeVersion(info, config), ...judgeImage(image, config), ...judgeNetwork(network, config)];
  if (originals.length === 0) return verdicts;
  const message = `${originals.length} containers of the original are left, on workspaces that have others now`;
  return [...verdicts, warn(message, `docker rm -f ${originals.join(" ")}`)];
}

function judgeSilence({ silence }: Silence, { dockerSocket }: Expected): Verdict {
  switch (silence) {
    case "EACCES":
      return fail(`${dockerSocket} may not be opened`, "run this as root: sudo sandboxd doctor");
    case "ENOENT":
    case "ECONNREFUSED":
      return fail(`no engine at ${dockerSocket} (${silence})`, "systemctl start docker");
    default:
      return fail(`the engine at ${dockerSocket} does not answer: ${silence}`, "systemctl restart docker");
  }
}

function judgeVersion(
  { ServerVersion = "?", Runtimes = {}, CgroupDriver, SwapLimit, BridgeNfIptables }: Info,
  { runtime }: Expected,
) {
  const verdicts: Verdict[] = [];
  const [major = 0, minor = 0] = ServerVersion.split(".").map(Number);
  if (major < oldest[0] || (major === oldest[0] && minor < oldest[1])) {
    verdicts.push(
      fail(`Docker ${ServerVersion} is older than ${oldest.join(".")}`, "apt-get install --only-upgrade docker.io"),
    );
  } else verdicts.push(ok(`Docker ${ServerVersion} answers`));
  if (runtime !== undefined && Runtimes[runtime] === undefined) {
    const known = Object.keys(Runtimes).sort().join(", ");
    verdicts.push(fail(`it has no runtime ${runtime}, only ${known}`, `add ${runtime} to /etc/docker/daemon.json`));
  }
  if (BridgeNfIptables === false) {
    const message = "its bridges do not ask iptables, so that sandboxes reach each other";
    verdicts.push(fail(message, "modprobe br_netfilter && sysctl -w net.bridge.bridge-nf-call-iptables=1"));
  }
  if (CgroupDriver === "none") {
    const message = "it runs without cgroups: no limit of memory, CPU or processes holds";
    verdicts.push(fail(message, "boot with systemd.unified_cgroup_hierarchy=1"));
  } else if (SwapLimit === false) {
    verdicts.push(
      warn("it cannot limit swap: a sandbox at its memory limit swaps", "boot with swapaccount=1, or without swap"),
    );
  }
  return verdicts;
}

function judgeImage(answer: Answer | Silence, { image }: Expected): readonly Verdict[] {
  if (isSilent(answer)) return [warn(`whether ${image} is there could not be asked (${answer.silence})`)];
  if (answer.status !== 404) return [];
  return [fail(`the image ${image} is not there, and is never pulled`, "docker compose build sandbox-image")];
}

/** Control makes the network when it needs it, and takes one that is there as it is. */
function judgeNetwork(answer: Answer | Silence, { network }: Expected): readonly Verdict[] {
  if (isSilent(answer) || answer.status !== 200) return [];
  const { Options = {} } = JSON.parse(answer.body) as { Options?: Record<string, string> };
  if (Options["com.docker.network.bridge.enable_icc"] === "false") return [];
  const mend = `stop every sandbox, then: docker network rm ${network} (control makes it anew)`;
  return [fail(`on the network ${network} sandboxes reach each other: control did not make it`, mend)];
}
