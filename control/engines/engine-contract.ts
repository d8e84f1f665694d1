import type { Test } from "tap";
import { execContract } from "./engine-contract-exec.ts";
import { lifecycleContract } from "./engine-contract-lifecycle.ts";
import { outputContract } from "./engine-contract-output.ts";
import { removalContract } from "./engine-contract-removal.ts";
import { terminalContract } from "./engine-contract-terminal.ts";
import { type EngineUnderTest, setUp } from "./engine-under-test.ts";

/** Every promise of SandboxEngine, as tests that pass for any implementation of it. */
export function engineContract(t: Test, subject: EngineUnderTest): void {
  const setup = (t: Test) => setUp(t, subject);
  lifecycleContract(t, setup, subject);
  removalContract(t, setup);
  outputContract(t, setup, subject);
  execContract(t, setup, subject);
  terminalContract(t, setup);
}
