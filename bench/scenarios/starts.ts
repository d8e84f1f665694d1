import { availableParallelism } from "node:os";
import { performance } from "node:perf_hooks";
import { openDockerNetwork } from "../../e2e/docker-network.ts";
import { startsCommand } from "../measure-wakes.ts";
import type { Measurement, Scenario } from "../scenario.ts";
import { createCommand, type Sandbox, type Stack, sleepSandbox, startStack, wakeSandbox } from "../stack.ts";
import { median, quantile } from "../statistics.ts";

/** What is compared with the default, in starts for each core. */
const perCore = [0.5, 1, 2, 4, 8, 16];
const defaultPerCore = 4;

/** How many sandboxes are best started at once: all of them are woken together, with one bound after another. */
export const starts: Scenario = {
  name: "starts",
  parts: ["docker"],
  async run({ scale, note }) {
    const bounds = [...new Set(perCore.map((share) => Math.max(1, Math.round(share * availableParallelism()))))];
    const results = new Map<number, Together>();
    for (const bound of bounds) {
      note(`${bound} at once`);
      await using network = await openDockerNetwork();
      const environment = { ...network.variables, SANDBOXD_STARTS_AT_ONCE: String(bound) };
      await using stack = await startStack({ environment });
      results.set(bound, await wakeTogether(stack, await createAsleep(stack, scale.starts)));
    }
    const best = Math.min(...[...results.values()].map(({ allMs }) => allMs));
    const chosen = results.get(defaultPerCore * availableParallelism())!;
    return [
      ...[...results].map(([bound, { allMs, eachMs }]): Measurement => {
        const remark = `each within ${median(eachMs).toFixed(0)} ms (p50), ${quantile(eachMs, 0.95).toFixed(0)} ms (p95)`;
        return { name: `starts: ${bound} at once, ${scale.starts} sandboxes up`, value: allMs, unit: "ms", remark };
      }),
      { name: "starts: the default ÷ the best", value: chosen.allMs / best, unit: "×" },
    ];
  },
};

/** Milliseconds until the ports of all answered, and of each by itself. */
type Together = { readonly allMs: number; readonly eachMs: readonly number[] };

async function createAsleep(stack: Stack, count: number): Promise<readonly Sandbox[]> {
  const sandboxes: Sandbox[] = [];
  for (let made = 0; made < count; made++) {
    const sandbox = await createCommand(stack, startsCommand);
    await sleepSandbox(stack, sandbox, "stop");
    sandboxes.push(sandbox);
  }
  return sandboxes;
}

async function wakeTogether(stack: Stack, sandboxes: readonly Sandbox[]): Promise<Together> {
  const begun = performance.now();
  const wakeOne = async (sandbox: Sandbox) => {
    await wakeSandbox(stack, sandbox);
    return performance.now() - begun;
  };
  const eachMs = await Promise.all(sandboxes.map(wakeOne));
  return { allMs: Math.max(...eachMs), eachMs };
}
