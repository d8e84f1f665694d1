import { startAnswers } from "../answers.ts";
import { contest } from "../contest.ts";
import { type Contender, gatewayContender, startNodeContender } from "../proxies/contender.ts";
import type { Scenario } from "../scenario.ts";
import { median, medianRatio } from "../statistics.ts";

const bodyBytes = 1 << 20;

/** How many bytes of large answers the gateway carries per second of its CPU. */
export const bodies: Scenario = {
  name: "bodies",
  parts: ["wrk", "nginx"],
  async run(options) {
    await using answers = await startAnswers(options);
    await using undici = await startNodeContender("undici", answers.port);
    const gateway = gatewayContender(answers.stack, answers.sandbox);
    const contenders: Contender[] = [gateway, undici];
    const scores = await contest(contenders, { path: "/1m", bodyBytes }, options);
    const costs = contenders.map(({ name }) => scores.get(name)!.cpuPerRequest);
    return [
      ...contenders.map(({ name }, index) => ({
        name: `bodies: throughput per CPU, ${name}`,
        // A megabyte per request, and its cost in microseconds.
        value: 1e6 / median(costs[index]!),
        unit: "MiB/s",
        remark: `${Math.round(median(scores.get(name)!.requestsPerSecond))} MiB/s in all`,
      })),
      { name: "bodies: throughput per CPU ÷ undici", value: medianRatio(costs[1]!, costs[0]!), unit: "×" },
    ];
  },
};
