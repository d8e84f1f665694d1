import { startAnswers } from "../answers.ts";
import { contest, type Score } from "../contest.ts";
import {
  type Contender,
  gatewayContender,
  startHaproxy,
  startNginx,
  startNodeContender,
} from "../proxies/contender.ts";
import type { Measurement, Scenario } from "../scenario.ts";
import { median, medianRatio } from "../statistics.ts";

/** What the gateway costs per request beside the proxies that could stand in its place. */
export const proxy: Scenario = {
  name: "proxy",
  parts: ["wrk", "nginx", "haproxy"],
  async run(options) {
    await using answers = await startAnswers(options);
    await using httpProxy = await startNodeContender("http-proxy", answers.port);
    await using undici = await startNodeContender("undici", answers.port);
    await using nginx = await startNginx(answers.port);
    await using haproxy = await startHaproxy(answers.port);
    const gateway = gatewayContender(answers.stack, answers.sandbox);
    const contenders: Contender[] = [gateway, httpProxy, undici, nginx, haproxy];
    const scores = await contest(contenders, { path: "/1k", bodyBytes: 1024 }, options);
    const own = scores.get(gateway.name)!;
    const others = contenders.filter(({ name }) => name !== gateway.name);
    return [
      ...contenders.map(({ name }) => describe(name, scores.get(name)!)),
      ...others.map(({ name }) => ({
        name: `proxy: CPU per request ÷ ${name}`,
        value: medianRatio(own.cpuPerRequest, scores.get(name)!.cpuPerRequest),
        unit: "×",
      })),
    ];
  },
};

function describe(name: string, { cpuPerRequest, requestsPerSecond, p50, p99 }: Score): Measurement {
  const rate = `${Math.round(median(requestsPerSecond)).toLocaleString("en")} requests/s`;
  const latency = `p50 ${(median(p50) / 1000).toFixed(1)} ms, p99 ${(median(p99) / 1000).toFixed(1)} ms`;
  return {
    name: `proxy: CPU per request, ${name}`,
    value: median(cpuPerRequest),
    unit: "µs",
    remark: `${rate}, ${latency}`,
  };
}
