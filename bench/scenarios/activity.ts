import { performance } from "node:perf_hooks";
import { startAnswers } from "../answers.ts";
import { checkAnswers } from "../check-answers.ts";
import { load } from "../load.ts";
import { gatewayContender } from "../proxies/contender.ts";
import type { Scenario } from "../scenario.ts";
import { readCounter } from "../stack.ts";

const counter = "sandboxd_sqlite_transactions_total";

/** How often control writes while one gateway is asked as fast as it answers. */
export const activity: Scenario = {
  name: "activity",
  parts: ["wrk", "nginx"],
  async run(options) {
    await using answers = await startAnswers(options);
    const { stack, sandbox } = answers;
    const gateway = gatewayContender(stack, sandbox);
    await checkAnswers(gateway);
    const { connections, secondsPerRound } = options.scale;
    // Long enough for whole transactions to be a rate.
    const seconds = Math.min(10, secondsPerRound * 3);
    const begun = performance.now();
    const before = await readCounter(stack, counter);
    const { requests } = await load({ ...gateway, path: "/1k", bodyBytes: 1024, connections, seconds });
    const written = (await readCounter(stack, counter)) - before;
    const took = (performance.now() - begun) / 1000;
    // The transaction at either end of the time belongs to it by half.
    const perSecond = Math.max(0, written - 1) / took;
    const remark = `${written} in ${took.toFixed(1)} s, for ${requests.toLocaleString("en")} requests`;
    return [{ name: "activity: transactions per second", value: perSecond, unit: "", remark }];
  },
};
