import t from "tap";
import { policy } from "../testing/fixture.ts";
import { newSandboxId } from "./create-sandbox.ts";
import { newSandbox } from "./sandbox.ts";
import { toSpec } from "./sandbox-spec.ts";

const sandbox = newSandbox(newSandboxId(), { ...policy, disk: "1G", env: { A: "b" } }, 0);

t.test("toSpec() turns sizes into bytes", async (t) => {
  const spec = toSpec(sandbox, { setMemoryHigh: true });
  t.match(spec, { memoryHighBytes: 4 * 2 ** 30, memoryMaxBytes: 10 * 2 ** 30, diskBytes: 2 ** 30, env: { A: "b" } });
  t.match(toSpec({ ...sandbox, disk: null, memoryHigh: null }, { setMemoryHigh: true }), {
    diskBytes: null,
    memoryHighBytes: null,
  });
});

t.test("toSpec() sets no soft limit unless that is configured", async (t) => {
  t.equal(toSpec(sandbox, { setMemoryHigh: false }).memoryHighBytes, null);
});

t.test("toSpec() depends on nothing that changes while a sandbox lives", async (t) => {
  const later = {
    ...sandbox,
    status: "running",
    generation: 9,
    lastActiveAt: 9,
    visibility: "private",
    labels: { a: "b" },
  } as const;
  t.same(toSpec(later, { setMemoryHigh: true }), toSpec(sandbox, { setMemoryHigh: true }));
});
