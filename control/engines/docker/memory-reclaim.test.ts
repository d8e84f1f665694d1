import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t, { type Test } from "tap";
import { canReclaim, reclaimDetail, reclaimMemory } from "./memory-reclaim.ts";

/** A machine out of files: process 7 is in container `c0ffee`. */
function machine(t: Test, files: Record<string, string>) {
  const root = mkdtempSync(join(tmpdir(), "reclaim-"));
  t.teardown(() => rmSync(root, { recursive: true, force: true }));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(root, path, ".."), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  const roots = { proc: join(root, "proc"), cgroup: join(root, "cgroup") };
  return { roots, read: (path: string) => readFileSync(join(root, path), "utf8") };
}

const unified = {
  "proc/7/cgroup": "0::/docker/c0ffee\n",
  "cgroup/memory.reclaim": "",
  "cgroup/docker/c0ffee/memory.current": "4096\n",
  "cgroup/docker/c0ffee/memory.reclaim": "",
};

t.test("reclaimMemory() asks cgroup v2 for all that the container occupies", async (t) => {
  const { roots, read } = machine(t, unified);
  t.ok(canReclaim(roots));
  await reclaimMemory(7, "c0ffee", roots);
  t.equal(read("cgroup/docker/c0ffee/memory.reclaim"), "4096");
});

t.test("reclaimMemory() empties the container's group on cgroup v1", async (t) => {
  const { roots, read } = machine(t, {
    "proc/7/cgroup": "9:name=systemd:/docker/c0ffee\n4:memory:/docker/c0ffee\n0::/\n",
    "cgroup/memory/memory.force_empty": "",
    "cgroup/memory/docker/c0ffee/memory.force_empty": "",
  });
  t.ok(canReclaim(roots));
  await reclaimMemory(7, "c0ffee", roots);
  t.equal(read("cgroup/memory/docker/c0ffee/memory.force_empty"), "0");
});

t.test("reclaimMemory() leaves the group of a process that is not the container's alone", async (t) => {
  const { roots, read } = machine(t, unified);
  await t.rejects(reclaimMemory(7, "decaf", roots), /not seen/);
  t.equal(read("cgroup/docker/c0ffee/memory.reclaim"), "");
});

t.test("reclaimDetail() says where memory goes, if anywhere", async (t) => {
  const without = { ...unified, "proc/meminfo": "SwapTotal:       0 kB\n" };
  const withSwap = { ...unified, "proc/meminfo": "SwapTotal:       1024 kB\n" };
  t.match(reclaimDetail(machine(t, withSwap).roots), /into swap/);
  t.match(reclaimDetail(machine(t, without).roots), /file pages alone/);
  t.match(reclaimDetail(machine(t, {}).roots), /not possible/);
  t.notOk(canReclaim(machine(t, {}).roots));
});
