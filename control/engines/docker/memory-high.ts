import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

export type CgroupRoots = { readonly proc: string; readonly cgroup: string };
export const thisMachine: CgroupRoots = { proc: "/proc", cgroup: "/sys/fs/cgroup" };

/** Only the unified hierarchy (cgroup v2) has `memory.high`. */
export function hasMemoryHigh({ cgroup } = thisMachine): boolean {
  return existsSync(join(cgroup, "cgroup.controllers"));
}

/**
 * Above this many bytes the kernel slows the container down and reclaims from it before it comes to the hard limit.
 * Throws when this program cannot see the container's control group.
 */
export async function setMemoryHigh(pid: number, bytes: number, { proc, cgroup } = thisMachine): Promise<void> {
  const groups = await readFile(join(proc, String(pid), "cgroup"), "utf8");
  const path = /^0::(\/.+)$/m.exec(groups)?.[1];
  if (path === undefined) throw new Error(`Process ${pid} is in no control group that can be limited`);
  await writeFile(join(cgroup, path, "memory.high"), String(bytes));
}
