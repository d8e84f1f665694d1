import { readFileSync } from "node:fs";
import { join } from "node:path";
import type Docker from "dockerode";
import type { ContainerStats } from "dockerode";
import { type EngineUsage, unknownUsage } from "../sandbox-engine.ts";
import { type CgroupRoots, thisMachine } from "./memory-high.ts";

const nanosecond = 1e-9;

/** What a container takes, as the daemon counts it, and how often it came to its limits, as the kernel does. */
export async function containerUsage(container: Docker.Container): Promise<EngineUsage> {
  const { Id, State, HostConfig } = await container.inspect();
  if (!State.Running) return unknownUsage;
  const stats = await container.stats({ stream: false, "one-shot": true });
  return readUsage(stats, limitHits(State.Pid, Id), HostConfig.NanoCpus ?? 0);
}

/** `nanoCpus`: billionths of a core, 0 for no limit. */
export function readUsage(stats: ContainerStats, hits: LimitHits, nanoCpus: number): EngineUsage {
  const { memory_stats: memory, pids_stats: pids, cpu_stats: cpu } = stats;
  if (memory?.usage === undefined) return unknownUsage;
  // The names of cgroup v2 and of v1.
  const { inactive_file, total_inactive_file } = memory.stats as Record<string, number | undefined>;
  return {
    memory: {
      usedBytes: Math.max(0, memory.usage - (inactive_file ?? total_inactive_file ?? 0)),
      limitBytes: memory.limit ?? null,
      refused: hits.memory,
    },
    processes: { count: pids?.current ?? null, limit: pids?.limit || null, refused: hits.processes },
    cpu: {
      usedSeconds: cpu.cpu_usage.total_usage * nanosecond,
      limit: nanoCpus === 0 ? null : nanoCpus * nanosecond,
      throttledSeconds: cpu.throttling_data.throttled_time * nanosecond,
    },
  };
}

/** How often each limit was come to; null: not seen from here. */
export type LimitHits = { readonly memory: number | null; readonly processes: number | null };

/**
 * Counts of the control group of a container's process: `max` of `memory.events` and `pids.events` (cgroup v2), or
 * `memory.failcnt` and `pids.events` (v1).
 */
export function limitHits(pid: number, containerId: string, roots: CgroupRoots = thisMachine): LimitHits {
  const groups = read(join(roots.proc, String(pid), "cgroup")) ?? "";
  // Seen from another process namespace, the pid is somebody else's.
  if (!groups.includes(containerId)) return { memory: null, processes: null };
  const unified = /^0::(\/.+)$/m.exec(groups)?.[1];
  const ofLegacy = (controller: string) =>
    new RegExp(`^[0-9]+:(?:[^:]+,)?${controller}(?:,[^:]+)?:(/.+)$`, "m").exec(groups)?.[1];
  const [memory, pids] = [ofLegacy("memory"), ofLegacy("pids")];
  const inGroup = (legacy: string | undefined, controller: string) =>
    legacy === undefined ? join(roots.cgroup, unified ?? "") : join(roots.cgroup, controller, legacy);
  const memoryFile = memory === undefined ? "memory.events" : "memory.failcnt";
  return {
    memory: count(read(join(inGroup(memory, "memory"), memoryFile))),
    processes: count(read(join(inGroup(pids, "pids"), "pids.events"))),
  };
}

/** A file with one number, or the one that stands behind `max`. */
function count(text: string | undefined): number | null {
  const digits = /^(?:max )?([0-9]+)$/m.exec(text ?? "")?.[1];
  return digits === undefined ? null : Number(digits);
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
