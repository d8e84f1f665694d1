import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import type { RawClient } from "../../gateway/hazards/test-gateway.ts";
import type { Chain } from "./chain.ts";

/** The process ids of a gateway's workers, which are children of its main process. */
export function workersOf({ gateway: { child } }: Chain): number[] {
  return readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8").trim().split(" ").map(Number);
}

/** Which worker has the other end of a connection, as the kernel tells it. The client must have got an answer. */
export function workerBehind(chain: Chain, { socket }: RawClient): number {
  const inode = inodeOf(chain.port, socket.localPort!);
  const worker = workersOf(chain).find((pid) => holds(pid, inode));
  if (worker === undefined) throw new Error(`no worker holds the socket ${inode}`);
  return worker;
}

/** Of the gateway's end of a connection on 127.0.0.1 (proc_net_tcp(5)). */
function inodeOf(gatewayPort: number, clientPort: number): string {
  const hexadecimal = (port: number) => `0100007F:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const [near, far] = [hexadecimal(gatewayPort), hexadecimal(clientPort)];
  for (const line of readFileSync("/proc/net/tcp", "utf8").split("\n")) {
    const [, local, remote, , , , , , , inode] = line.trim().split(/\s+/);
    if (local === near && remote === far) return inode!;
  }
  throw new Error(`no connection from port ${clientPort}`);
}

function holds(pid: number, inode: string): boolean {
  return readdirSync(`/proc/${pid}/fd`).some((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`) === `socket:[${inode}]`;
    } catch {
      // It was closed meanwhile.
      return false;
    }
  });
}
