import { readFileSync } from "node:fs";

export type ListeningPort = { readonly port: number; readonly loopbackOnly: boolean };

const listen = "0A";
/** 127.0.0.0/8 and ::1 as the kernel writes them: in words of the machine's order. */
const loopback = /^(?:[0-9A-F]{6}7F|0{24}01000000)$/;

/** Ports of TCP that something in this network namespace listens on, in order. Nothing where there is no /proc. */
export function listeningPorts(): ListeningPort[] {
  return parsePorts(["/proc/net/tcp", "/proc/net/tcp6"].map(read).join("\n"));
}

/** Reads the kernel's tables of TCP sockets (proc_net_tcp in its documentation). */
export function parsePorts(tables: string): ListeningPort[] {
  const reachable = new Map<number, boolean>();
  for (const line of tables.split("\n")) {
    const [, local, , state] = line.trim().split(/\s+/);
    if (state !== listen || local === undefined) continue;
    const [address = "", port = ""] = local.split(":");
    const number = Number.parseInt(port, 16);
    reachable.set(number, (reachable.get(number) ?? false) || !loopback.test(address));
  }
  return [...reachable]
    .map(([port, isReachable]) => ({ port, loopbackOnly: !isReachable }))
    .sort((a, b) => a.port - b.port);
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
