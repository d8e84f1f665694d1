import { startAnswers } from "../answers.ts";
import { contest, type Question } from "../contest.ts";
import { gatewayContender, startNodeContender } from "../proxies/contender.ts";
import type { Measurement, Scenario } from "../scenario.ts";
import { median, medianRatio } from "../statistics.ts";

const kinds: readonly (Question & { readonly name: string })[] = [
  { name: "1 MB", path: "/1m", bodyBytes: 1 << 20 },
  { name: "64 KB", path: "/64k", bodyBytes: 1 << 16 },
  { name: "1 MB upload", path: "/upload", bodyBytes: "read 1048576".length, uploadBytes: 1 << 20 },
];

/** How many bytes of large answers and uploads the gateway carries per second of its CPU. */
export const bodies: Scenario = {
  name: "bodies",
  parts: ["wrk", "nginx"],
  async run(options) {
    await using answers = await startAnswers(options);
    await using undici = await startNodeContender("undici", answers.port);
    const contenders = [gatewayContender(answers.stack, answers.sandbox), undici];
    const measurements: Measurement[] = [];
    for (const { name: kind, ...question } of kinds) {
      const scores = await contest(contenders, question, options);
      const costs = contenders.map(({ name }) => scores.get(name)!.cpuPerRequest);
      const mebibytes = (question.uploadBytes ?? question.bodyBytes) / (1 << 20);
      for (const [index, { name }] of contenders.entries()) {
        const inAll = median(scores.get(name)!.requestsPerSecond) * mebibytes;
        measurements.push({
          name: `bodies: ${kind}, throughput per CPU, ${name}`,
          // Costs are in microseconds per request.
          value: (mebibytes * 1e6) / median(costs[index]!),
          unit: "MiB/s",
          remark: `${Math.round(inAll)} MiB/s in all`,
        });
      }
      const value = medianRatio(costs[1]!, costs[0]!);
      measurements.push({ name: `bodies: ${kind}, throughput per CPU ÷ undici`, value, unit: "×" });
    }
    return measurements;
  },
};
