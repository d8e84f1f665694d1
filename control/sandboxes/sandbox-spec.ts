import type { SandboxSpec } from "../engines/sandbox-engine.ts";
import { parseByteSize } from "./byte-size.ts";
import type { Sandbox } from "./sandbox.ts";

/** What the engine shall run for a sandbox. `setMemoryHigh: false` leaves the soft limit out. */
export function toSpec(sandbox: Sandbox, { setMemoryHigh }: { setMemoryHigh: boolean }): SandboxSpec {
  const { id, ports, image, cmd, env, sealedEnv, memoryHigh, memoryMax, cpu, runtime, disk } = sandbox;
  return {
    id,
    ports,
    image,
    cmd,
    env,
    sealedEnv,
    memoryHighBytes: setMemoryHigh && memoryHigh !== null ? parseByteSize(memoryHigh) : null,
    memoryMaxBytes: parseByteSize(memoryMax),
    cpu,
    runtime,
    diskBytes: disk === null ? null : parseByteSize(disk),
  };
}
