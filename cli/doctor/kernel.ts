import { readFile, stat } from "node:fs/promises";
import { release } from "node:os";
import { check, fail, ok, type Verdict, warn } from "./check.ts";

/** What the kernel can do for sandboxes. */
export const kernel = check("kernel", lookAtKernel, (facts) => judgeKernel(facts));

export type KernelFacts = {
  readonly platform: NodeJS.Platform;
  readonly release: string;
  readonly cgroup: "v1" | "v2" | "none";
  /** Of the root of the hierarchy. */
  readonly controllers: readonly string[];
  /** Pressure stall information of memory. */
  readonly psi: boolean;
  /** undefined: not readable. */
  readonly swapKib: number | undefined;
};

async function lookAtKernel(): Promise<KernelFacts> {
  const unified = await readText("/sys/fs/cgroup/cgroup.controllers");
  const legacy = unified === undefined ? await readText("/proc/cgroups") : undefined;
  const mounted = await isThere("/sys/fs/cgroup/memory");
  const meminfo = await readText("/proc/meminfo");
  const swap = /^SwapTotal:\s+(\d+) kB$/m.exec(meminfo ?? "")?.[1];
  return {
    platform: process.platform,
    release: release(),
    cgroup: unified !== undefined ? "v2" : mounted ? "v1" : "none",
    controllers: unified?.trim().split(/\s+/) ?? enabledIn(legacy ?? ""),
    psi: await isThere("/proc/pressure/memory"),
    swapKib: swap === undefined ? undefined : Number(swap),
  };
}

/** Lines of name, hierarchy, number of groups, enabled. */
function enabledIn(table: string): string[] {
  const rows = table.split("\n").map((line) => line.split(/\s+/));
  return rows.filter(([name, , , enabled]) => !name?.startsWith("#") && enabled === "1").map(([name]) => name!);
}

const needed = ["memory", "pids", "cpu"];

export function judgeKernel({ platform, release, cgroup, controllers, psi, swapKib }: KernelFacts): readonly Verdict[] {
  if (platform !== "linux") return [warn(`${platform} is for trying it out: sandboxes are isolated on Linux alone`)];
  const verdicts: Verdict[] = [];
  const missing = needed.filter((name) => !controllers.includes(name));
  const boot = "add to the kernel's command line: systemd.unified_cgroup_hierarchy=1";
  if (cgroup === "none")
    verdicts.push(fail("no control groups: nothing limits a sandbox", "mount -t cgroup2 none /sys/fs/cgroup"));
  else if (missing.length > 0) {
    const mend = "add to the kernel's command line: cgroup_enable=memory";
    verdicts.push(fail(`cgroups ${cgroup} without ${missing.join(", ")}: sandboxes are not limited by it`, mend));
  } else if (cgroup === "v1") {
    verdicts.push(
      warn(`Linux ${release}, cgroups v1: no memory_high, and memory goes back slowly after a pause`, boot),
    );
  } else verdicts.push(ok(`Linux ${release}, cgroups v2 with ${needed.join(", ")}`));
  if (!psi) {
    verdicts.push(
      warn("does not tell stalls for memory (PSI): pressure is judged by free memory alone", "boot with psi=1"),
    );
  }
  if (swapKib === 0) {
    verdicts.push(warn("no swap: a pause gives back file pages alone", "apt-get install zram-tools"));
  }
  return verdicts;
}

function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

function readText(path: string): Promise<string | undefined> {
  return readFile(path, "utf8").catch(() => undefined);
}
