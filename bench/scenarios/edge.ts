import { checkDenied, untilAnswered } from "../check-answers.ts";
import { contest, type Score } from "../contest.ts";
import { startEdges } from "../edges.ts";
import type { Measurement, Scenario } from "../scenario.ts";
import { formatSpread, median, medianRatio } from "../statistics.ts";

/** What a request costs on its whole way from TLS to the app, beside a Traefik that does it without a gateway. */
export const edge: Scenario = {
  name: "edge",
  parts: ["wrk", "nginx", "traefik"],
  async run(options) {
    await using edges = await startEdges(options);
    const { own, direct, otherToken } = edges;
    const contenders = [own.open, direct.open, own.hidden, direct.hidden];
    for (const each of contenders) await untilAnswered(each);
    for (const { hidden } of [own, direct]) await checkDenied(hidden, { "x-preview-token": otherToken });
    const scores = await contest(contenders, { path: "/1k", bodyBytes: 1024 }, options);
    const costs = (name: string) => scores.get(name)!.cpuPerRequest;
    return [
      ...contenders.map(({ name }) => describe(name, scores.get(name)!)),
      compare("public", costs(own.open.name), costs(direct.open.name)),
      compare("private", costs(own.hidden.name), costs(direct.hidden.name)),
    ];
  },
};

function compare(visibility: string, own: readonly number[], direct: readonly number[]): Measurement {
  return {
    name: `edge: CPU per request ÷ Traefik alone, ${visibility}`,
    value: medianRatio(own, direct),
    unit: "×",
    remark: formatSpread(own, direct),
  };
}

function describe(name: string, { cpuPerRequest, cpuPerProcess, requestsPerSecond }: Score): Measurement {
  const costs = cpuPerProcess.map((each) => Math.round(median(each))).filter((cost) => cost > 0);
  const rate = `${Math.round(median(requestsPerSecond)).toLocaleString("en")} requests/s`;
  const remark = costs.length > 1 ? `Traefik ${costs[0]} µs and ${costs[1]} µs behind it; ${rate}` : rate;
  return { name: `edge: CPU per request, ${name}`, value: median(cpuPerRequest), unit: "µs", remark };
}
