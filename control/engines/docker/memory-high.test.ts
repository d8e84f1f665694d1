import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t, { type Test } from "tap";
import { hasMemoryHigh, setMemoryHigh } from "./memory-high.ts";

async function machine(t: Test, groups: string) {
  const root = await mkdtemp(join(tmpdir(), "memory-high-"));
  t.teardown(() => rm(root, { recursive: true, force: true }));
  const roots = { proc: join(root, "proc"), cgroup: join(root, "cgroup") };
  await mkdir(join(roots.proc, "42"), { recursive: true });
  await writeFile(join(roots.proc, "42", "cgroup"), groups);
  await mkdir(join(roots.cgroup, "system.slice/docker-abc.scope"), { recursive: true });
  return roots;
}

t.test("setMemoryHigh() writes the limit of the process's control group", async (t) => {
  const roots = await machine(t, "0::/system.slice/docker-abc.scope\n");
  await setMemoryHigh(42, 4_294_967_296, roots);
  t.equal(await readFile(join(roots.cgroup, "system.slice/docker-abc.scope/memory.high"), "utf8"), "4294967296");
});

t.test("setMemoryHigh() throws where the control group cannot be seen", async (t) => {
  await t.rejects(setMemoryHigh(42, 1, await machine(t, "0::/\n")), /no control group/);
  await t.rejects(setMemoryHigh(42, 1, await machine(t, "9:memory:/docker/abc\n")), /no control group/);
  await t.rejects(setMemoryHigh(43, 1, await machine(t, "0::/a\n")), { code: "ENOENT" });
});

t.test("hasMemoryHigh() needs the unified hierarchy", async (t) => {
  const roots = await machine(t, "");
  t.equal(hasMemoryHigh(roots), false);
  await writeFile(join(roots.cgroup, "cgroup.controllers"), "cpu memory\n");
  t.equal(hasMemoryHigh(roots), true);
});
