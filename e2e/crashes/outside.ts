import { randomUUID } from "node:crypto";
import { globSync, readFileSync } from "node:fs";
import type { Variables } from "#contract/environment.ts";
import { docker, openDockerNetwork } from "../docker-network.ts";

/** What runs of one sandbox, seen past control. */
export type Seen = { readonly running: number; readonly isFrozen: boolean };

/** A look at sandboxes that does not ask control. Disposing ends whatever is left of them. */
export interface Outside extends AsyncDisposable {
  /** What control needs for its engine. */
  readonly variables: Variables;
  /** How a command of a sandbox calls Node. */
  readonly node: string;
  /** What a sandbox must have in its environment to be seen. */
  readonly mark: Readonly<Record<string, string>>;
  /** By id. A sandbox that runs nothing may be there, if anything of it is left. */
  look(): Promise<ReadonlyMap<string, Seen>>;
}

/** Processes are found by their environments. */
export function processesOutside(): Outside {
  const name = "CRASH_TRIAL";
  const value = randomUUID();
  const marked = new RegExp(`(?:^|\0)${name}=${value}(?:\0|$)`);
  const find = () => {
    const found = new Map<string, number[]>();
    for (const path of globSync("/proc/[0-9]*/environ")) {
      const environment = read(path);
      if (!marked.test(environment)) continue;
      const id = /(?:^|\0)HOME=[^\0]*\/([0-9A-Z]{26})(?:\0|$)/.exec(environment)?.[1] ?? "?";
      found.set(id, [...(found.get(id) ?? []), Number(path.split("/")[2])]);
    }
    return found;
  };
  const isFrozen = (pid: number) => /\) T /.test(read(`/proc/${pid}/stat`));
  return {
    variables: { SANDBOXD_ENGINE: "process" },
    node: process.execPath,
    mark: { [name]: value },
    look: async () =>
      new Map([...find()].map(([id, pids]) => [id, { running: pids.length, isFrozen: pids.some(isFrozen) }])),
    [Symbol.asyncDispose]: async () => {
      for (const pids of find().values()) for (const pid of pids) process.kill(pid, "SIGKILL");
    },
  };
}

/** Containers are found by their network. */
export async function containersOutside(): Promise<Outside> {
  const network = await openDockerNetwork();
  return {
    variables: network.variables,
    node: "node",
    mark: {},
    look: async () => {
      const format = "{{.Names}} {{.State}}";
      const lines = await docker("ps", "--all", "--filter", `network=${network.name}`, "--format", format);
      return new Map(
        lines.map((line) => {
          const [name = "", state] = line.split(" ");
          const isUp = state === "running" || state === "paused";
          return [name.slice(2).toUpperCase(), { running: isUp ? 1 : 0, isFrozen: state === "paused" }];
        }),
      );
    },
    [Symbol.asyncDispose]: () => network[Symbol.asyncDispose](),
  };
}

function read(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}
