import { readFileSync } from "node:fs";
import type Docker from "dockerode";
import type { Listeners } from "#contract/gateway-api.ts";
import { parseTcpTable, tcpListeners, toListeners } from "../tcp-table.ts";
import { sharesKernel } from "./container-runtime.ts";

/**
 * What listens in a running container: out of /proc when this program sees the container's processes and the kernel its
 * sockets, else asked inside, which needs `cat` there.
 */
export async function containerListeners(container: Docker.Container): Promise<Listeners> {
  const { Id, State, HostConfig } = await container.inspect();
  if (!State.Running || State.Paused) return { reachable: [], loopbackOnly: [] };
  const isSeen = sharesKernel(HostConfig.Runtime) && isVisible(State.Pid, Id);
  return toListeners(isSeen ? tcpListeners(State.Pid) : await askInside(container));
}

/** A program that runs in a container itself may see another process under this pid. */
function isVisible(pid: number, containerId: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cgroup`, "latin1").includes(containerId);
  } catch {
    return false;
  }
}

async function askInside(container: Docker.Container) {
  const exec = await container.exec({ Cmd: ["cat", "/proc/net/tcp", "/proc/net/tcp6"], AttachStdout: true, Tty: true });
  const stream = await exec.start({ Tty: true });
  let text = "";
  for await (const chunk of stream) text += chunk;
  return parseTcpTable(text);
}
