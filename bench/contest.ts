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
    scores.set(contender.name, { cpuPerRequest: [], requestsPerSecond: [], p50: [], p99: [] });
  }
  for (let round = 1; round <= rounds; round++) {
    note(`${question.path}: round ${round} of ${rounds}`);
    for (const contender of contenders) {
      await delay(pauseMs);
      const before = cpuOf(contender);
      const loaded = await load({ ...contender, ...question, connections, seconds: secondsPerRound });
      record(scores.get(contender.name)!, loaded, cpuOf(contender) - before);
    }
  }
  return scores;
}

function cpuOf({ pid, others = [] }: Contender): number {
  return [pid, ...others].reduce((sum, each) => sum + cpuSeconds(each), 0);
}

function record(score: Score, { requests, seconds, p50, p99 }: Loaded, cpu: number): void {
  score.cpuPerRequest.push((cpu / requests) * 1e6);
  score.requestsPerSecond.push(requests / seconds);
  score.p50.push(p50);
  score.p99.push(p99);
}
