import { setTimeout as delay } from "node:timers/promises";
import { IdleSockets } from "../idle-sockets.ts";
import { exchangeMessages } from "../message-load.ts";
import { cpuSeconds } from "../process-usage.ts";
import { type Contender, gatewayContender, startNodeContender } from "../proxies/contender.ts";
import type { Measurement, Scenario } from "../scenario.ts";
import { appPort, createSandbox, startStack } from "../stack.ts";
import { median, medianRatio } from "../statistics.ts";

const pauseMs = 200;

/** What a WebSocket message costs on its way to an app and back. */
export const echo: Scenario = {
  name: "echo",
  parts: [],
  async run({ scale, profileDirectory, note }) {
    await using stack = await startStack({ profileDirectory });
    const sandbox = await createSandbox(stack, "sockets", ["node", "server.mjs"]);
    await using httpProxy = await startNodeContender("http-proxy", await appPort(sandbox));
    const contenders = [gatewayContender(stack, sandbox), httpProxy];
    const { connections, secondsPerRound, warmUpSeconds, rounds } = scale;
    const costs = new Map<string, number[]>();
    const rates = new Map<string, number[]>();
    for (const each of contenders) {
      await IdleSockets.checkEcho(each.port, each.host);
      if (warmUpSeconds > 0) await exchangeMessages({ ...each, connections, seconds: warmUpSeconds });
      costs.set(each.name, []);
      rates.set(each.name, []);
    }
    for (let round = 1; round <= rounds; round++) {
      note(`round ${round} of ${rounds}`);
      for (const each of contenders) {
        await delay(pauseMs);
        const before = cpuSeconds(each.pid);
        const { messages, seconds } = await exchangeMessages({ ...each, connections, seconds: secondsPerRound });
        costs.get(each.name)!.push(((cpuSeconds(each.pid) - before) / messages) * 1e6);
        rates.get(each.name)!.push(messages / seconds);
      }
    }
    return summarise(contenders, costs, rates);
  },
};

function summarise(
  contenders: readonly Contender[],
  costs: ReadonlyMap<string, number[]>,
  rates: ReadonlyMap<string, number[]>,
): readonly Measurement[] {
  const [own, other] = contenders.map(({ name }) => costs.get(name)!);
  return [
    ...contenders.map(({ name }) => ({
      name: `echo: CPU per message, ${name}`,
      value: median(costs.get(name)!),
      unit: "µs",
      remark: `${Math.round(median(rates.get(name)!)).toLocaleString("en")} messages/s, there and back`,
    })),
    { name: "echo: CPU per message ÷ http-proxy", value: medianRatio(own!, other!), unit: "×" },
  ];
}
