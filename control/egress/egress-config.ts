import type { EnvironmentReader } from "#contract/environment.ts";
import { type Cidr, parseCidr } from "./cidr.ts";
import { type Destination, parseDestination } from "./destination.ts";

export const egressModes = ["enforce", "observe", "off"] as const;
export type EgressMode = (typeof egressModes)[number];

/** What sandboxes may connect to, as the operator wrote it. */
export type EgressConfig = {
  readonly mode: EgressMode;
  /** Blocked besides what always is. */
  readonly block: readonly Cidr[];
  /** Open to every sandbox, whatever it is. */
  readonly allow: readonly Destination[];
  /** So many may one sandbox have open: the kernel's table of connections is everybody's. */
  readonly connections: number;
  /** null: those that Docker hands on. */
  readonly nameServers: readonly Cidr[] | null;
};

export const egressVariables = [
  "SANDBOXD_EGRESS",
  "SANDBOXD_EGRESS_BLOCK",
  "SANDBOXD_EGRESS_ALLOW",
  "SANDBOXD_EGRESS_CONNECTIONS",
  "SANDBOXD_EGRESS_NAME_SERVERS",
] as const;

/** Processes of this machine have no network of their own that rules could tell from others. */
export function readEgress(read: EnvironmentReader, engine: "docker" | "process"): EgressConfig {
  const mode = read.choice("SANDBOXD_EGRESS", engine === "docker" ? "enforce" : "off", egressModes);
  if (engine === "process" && mode !== "off") {
    read.conflict(`Cannot use SANDBOXD_EGRESS=${mode}: SANDBOXD_ENGINE=process has no isolation`);
  }
  const nameServers = read.networks("SANDBOXD_EGRESS_NAME_SERVERS", []);
  return {
    mode,
    block: toCidrs(read.networks("SANDBOXD_EGRESS_BLOCK", [])),
    allow: readDestinations(read, "SANDBOXD_EGRESS_ALLOW"),
    connections: read.integer("SANDBOXD_EGRESS_CONNECTIONS", 4_096, { least: 1, most: 1_000_000 }),
    nameServers: nameServers.length > 0 ? toCidrs(nameServers) : null,
  };
}

function toCidrs(texts: readonly string[]): readonly Cidr[] {
  return texts.flatMap((text) => parseCidr(text) ?? []);
}

function readDestinations(read: EnvironmentReader, name: string): readonly Destination[] {
  const value = read.raw(name);
  if (value === undefined) return [];
  const parsed = value.split(",").map((part) => parseDestination(part.trim()));
  if (parsed.every((each) => each !== undefined)) return parsed;
  read.problem(name, "addresses, CIDR blocks or names, each with or without a port, separated by commas", value);
  return [];
}
