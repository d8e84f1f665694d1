import { accessSync, constants, readFileSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type CgroupRoots, thisMachine } from "./memory-high.ts";

/** The kernel gave back less than it was asked for: as much as there was. */
const partly = "EAGAIN";

/** Whether this program may have the kernel take memory back from a control group. */
export function canReclaim(roots = thisMachine): boolean {
  return (
    isWritable(join(roots.cgroup, "memory.reclaim")) || isWritable(join(roots.cgroup, "memory/memory.force_empty"))
  );
}

/** For an operator: where the memory of a paused sandbox goes. */
export function reclaimDetail(roots = thisMachine): string {
  if (!canReclaim(roots)) return "not possible here: a paused sandbox keeps its memory";
  return hasSwap(roots) ? "after a pause, into swap" : "after a pause, file pages alone: this machine has no swap";
}

/**
 * Has the kernel take back what the control group of a container's process occupies: cgroup v2 by `memory.reclaim`, v1
 * by `memory.force_empty`. Throws when the process is not the container's or the kernel refuses.
 */
export async function reclaimMemory(pid: number, containerId: string, roots: CgroupRoots = thisMachine): Promise<void> {
  const groups = await readFile(join(roots.proc, String(pid), "cgroup"), "utf8");
  if (!groups.includes(containerId)) throw new Error(`Process ${pid} is not seen in the container's control group`);
  const unified = /^0::(\/.+)$/m.exec(groups)?.[1];
  const legacy = /^[0-9]+:(?:[^:]+,)?memory(?:,[^:]+)?:(\/.+)$/m.exec(groups)?.[1];
  if (legacy !== undefined) return writeFile(join(roots.cgroup, "memory", legacy, "memory.force_empty"), "0");
  if (unified === undefined) throw new Error(`Process ${pid} is in no control group with memory`);
  const group = join(roots.cgroup, unified);
  const occupied = (await readFile(join(group, "memory.current"), "utf8")).trim();
  await writeFile(join(group, "memory.reclaim"), occupied).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== partly) throw error;
  });
}

function hasSwap({ proc }: CgroupRoots): boolean {
  try {
    return /^SwapTotal:\s+[1-9]/m.test(readFileSync(join(proc, "meminfo"), "utf8"));
  } catch {
    return false;
  }
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
