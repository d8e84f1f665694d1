import { setTimeout as delay } from "node:timers/promises";
import { checkAnswers } from "./check-answers.ts";
import { type Loaded, load } from "./load.ts";
import { cpuSeconds } from "./process-usage.ts";
import type { Contender } from "./proxies/contender.ts";
import type { ScenarioOptions } from "./scenario.ts";

export type Question = {
  readonly path: string;
  /** Of each answer. */
  readonly bodyBytes: number;
  /** Of each request; without them it is a GET. */
  readonly uploadBytes?: number;
};

/** What one contender did, round by round. */
export type Score = {
  /** Microseconds of the proxy's own CPU. */
  readonly cpuPerRequest: number[];
  /** The same of each of its processes, in the contender's order. */
  readonly cpuPerProcess: readonly number[][];
  readonly requestsPerSecond: number[];
  /** Latencies in microseconds. */
  readonly p50: number[];
  readonly p99: number[];
};

/** A pause in which the last round's connections end, and their garbage with them. */
const pauseMs = 200;

/** Checks every contender, then loads them in turn, round after round: what slows the machine down hits all alike. */
export async function contest(
  contenders: readonly Contender[],
  question: Question,
  { scale, note }: ScenarioOptions,
): Promise<ReadonlyMap<string, Score>> {
  const { rounds, secondsPerRound, warmUpSeconds, connections } = scale;
  const scores = new Map<string, Score>();
  for (const contender of contenders) {
    await checkAnswers(contender);
    if (warmUpSeconds > 0) await load({ ...contender, ...question, connections, seconds: warmUpSeconds });
    const cpuPerProcess = processesOf(contender).map(() => []);
    scores.set(contender.name, { cpuPerRequest: [], cpuPerProcess, requestsPerSecond: [], p50: [], p99: [] });
  }
  for (let round = 1; round <= rounds; round++) {
    note(`${question.path}: round ${round} of ${rounds}`);
    for (const contender of contenders) {
      await delay(pauseMs);
      const before = processesOf(contender).map(cpuSeconds);
      const loaded = await load({ ...contender, ...question, connections, seconds: secondsPerRound });
      const spent = processesOf(contender).map((pid, index) => cpuSeconds(pid) - before[index]!);
      record(scores.get(contender.name)!, loaded, spent);
    }
  }
  return scores;
}

function processesOf({ pid, others = [] }: Contender): readonly number[] {
  return [pid, ...others];
}

function record(score: Score, { requests, seconds, p50, p99 }: Loaded, spent: readonly number[]): void {
  const costs = spent.map((cpu) => (cpu / requests) * 1e6);
  score.cpuPerRequest.push(costs.reduce((sum, cost) => sum + cost, 0));
  for (const [index, cost] of costs.entries()) score.cpuPerProcess[index]!.push(cost);
  score.requestsPerSecond.push(requests / seconds);
  score.p50.push(p50);
  score.p99.push(p99);
}
