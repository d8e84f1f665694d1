import t from "tap";
import { judgeKernel, type KernelFacts } from "./kernel.ts";

const well: KernelFacts = {
  platform: "linux",
  release: "6.12.0",
  cgroup: "v2",
  controllers: ["cpuset", "cpu", "io", "memory", "pids"],
  psi: true,
  swapKib: 1024,
};

const table: [name: string, facts: KernelFacts, expected: object[]][] = [
  ["one that has everything", well, [{ status: "ok" }]],
  ["one that does not tell its swap", { ...well, swapKib: undefined }, [{ status: "ok" }]],
  ["cgroups v1", { ...well, cgroup: "v1" }, [{ status: "warn", mend: /unified/ }]],
  ["no cgroups", { ...well, cgroup: "none" }, [{ status: "fail" }]],
  ["no memory controller", { ...well, controllers: ["cpu", "pids"] }, [{ status: "fail", message: /without memory:/ }]],
  ["no stalls", { ...well, psi: false }, [{}, { status: "warn", message: /PSI/ }]],
  ["no swap", { ...well, swapKib: 0 }, [{}, { status: "warn", message: /swap/ }]],
  ["another system", { ...well, platform: "darwin" }, [{ status: "warn", message: /darwin/ }]],
];

for (const [name, facts, expected] of table) {
  t.test(`judgeKernel() of ${name}`, async (t) => {
    const verdicts = judgeKernel(facts);
    t.equal(verdicts.length, expected.length);
    t.match(verdicts, expected);
  });
}
