import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { ContainerStats } from "dockerode";
import t, { type Test } from "tap";
import { unknownUsage } from "../sandbox-engine.ts";
import { limitHits, readUsage } from "./container-usage.ts";

/** A machine with these files, below its `proc` and `cgroup`. */
async function machine(t: Test, files: Record<string, string>) {
  const root = await mkdtemp(join(tmpdir(), "container-usage-"));
  t.teardown(() => rm(root, { recursive: true, force: true }));
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
  return { proc: join(root, "proc"), cgroup: join(root, "cgroup") };
}

t.test("limitHits() reads what cgroup v2 counts", async (t) => {
  const roots = await machine(t, {
    "proc/42/cgroup": "0::/system.slice/docker-abc.scope\n",
    "cgroup/system.slice/docker-abc.scope/memory.events": "low 1\nhigh 2\nmax 7\noom 3\noom_kill 1\n",
    "cgroup/system.slice/docker-abc.scope/pids.events": "max 5\n",
  });
  t.same(limitHits(42, "abc", roots), { memory: 7, processes: 5 });
});

t.test("limitHits() reads what cgroup v1 counts", async (t) => {
  const roots = await machine(t, {
    "proc/42/cgroup": "9:cpu,cpuacct:/docker/abc\n8:pids:/docker/abc\n4:memory:/docker/abc\n0::/\n",
    "cgroup/memory/docker/abc/memory.failcnt": "7\n",
    "cgroup/pids/docker/abc/pids.events": "max 5\n",
  });
  t.same(limitHits(42, "abc", roots), { memory: 7, processes: 5 });
});

t.test("limitHits() says nothing of what it cannot see", async (t) => {
  const roots = await machine(t, { "proc/42/cgroup": "0::/abc\n", "proc/43/cgroup": "0::/another\n" });
  for (const pid of [42, 43, 44]) t.same(limitHits(pid, "abc", roots), { memory: null, processes: null }, `${pid}`);
});

t.test("readUsage() reads the daemon's counts, with or without limits", async (t) => {
  const stats = {
    memory_stats: { usage: 1_000, limit: 5_000, stats: { inactive_file: 300 } },
    pids_stats: { current: 3, limit: 1024 },
    cpu_stats: { cpu_usage: { total_usage: 2_500_000_000 }, throttling_data: { throttled_time: 500_000_000 } },
  } as unknown as ContainerStats;
  t.same(readUsage(stats, { memory: 1, processes: 2 }, 500_000_000), {
    memory: { usedBytes: 700, limitBytes: 5_000, refused: 1 },
    processes: { count: 3, limit: 1024, refused: 2 },
    cpu: { usedSeconds: 2.5, limit: 0.5, throttledSeconds: 0.5 },
  });
  const unlimited = readUsage({ ...stats, pids_stats: { current: 3 } }, { memory: null, processes: null }, 0);
  t.match(unlimited, { processes: { limit: null }, cpu: { limit: null } });
  t.same(readUsage({ memory_stats: {} } as ContainerStats, { memory: null, processes: null }, 0), unknownUsage);
});
