import { readFileSync } from "node:fs";
import type { Listeners } from "#contract/gateway-api.ts";

/** A listening TCP socket of one network namespace. */
export type TcpListener = {
  readonly port: number;
  readonly reach: "any" | "loopback" | "resolver";
  readonly inode: string;
};

const listening = "0A";

/** The listening sockets in the network of a process of this machine. Throws when this program may not look there. */
export function tcpListeners(pid: number | "self"): TcpListener[] {
  return ["tcp", "tcp6"].flatMap((table) => {
    try {
      return parseTcpTable(readFileSync(`/proc/${pid}/net/${table}`, "latin1"));
    } catch (error) {
      // A kernel without IPv6 has no such table.
      if (table === "tcp6") return [];
      throw error;
    }
  });
}

/**
 * Reads `/proc/net/tcp` or `tcp6` (proc_net(5)). Addresses are hexadecimal words in the machine's byte order. `resolver`
 * is 127.0.0.11, where Docker puts a name server of its own into a container.
 */
export function parseTcpTable(text: string): TcpListener[] {
  return text
    .split("\n")
    .slice(1)
    .map((row) => row.trim().split(/\s+/))
    .filter((fields) => fields[3] === listening)
    .map((fields) => {
      const [address = "", port = ""] = fields[1]!.split(":");
      return { port: Number.parseInt(port, 16), reach: reach(address), inode: fields[9] ?? "" };
    });
}

/** A port that any socket offers to the outside is reachable, whatever else is bound to it. */
export function toListeners(sockets: readonly TcpListener[]): Listeners {
  const ports = (wanted: TcpListener["reach"]) =>
    sockets.filter(({ reach }) => reach === wanted).map(({ port }) => port);
  const reachable = ascending(ports("any"));
  return { reachable, loopbackOnly: ascending(ports("loopback")).filter((port) => !reachable.includes(port)) };
}

function reach(address: string): TcpListener["reach"] {
  const bytes = Buffer.from(address, "hex").swap32();
  const isMapped = bytes.length === 16 && bytes.subarray(0, 12).toString("hex") === "00000000000000000000ffff";
  const v4 = bytes.length === 4 ? bytes : isMapped ? bytes.subarray(12) : undefined;
  if (v4?.equals(Buffer.from([127, 0, 0, 11]))) return "resolver";
  if (v4 !== undefined) return v4[0] === 127 ? "loopback" : "any";
  return bytes.toString("hex") === "00000000000000000000000000000001" ? "loopback" : "any";
}

const ascending = (ports: readonly number[]) => [...new Set(ports)].sort((a, b) => a - b);
