import { runCycles } from "../../e2e/sleep-wake.ts";
import { openSleeper } from "../../e2e/sleeper.ts";
import type { Scenario } from "../scenario.ts";

const shownFailures = 5;

/**
 * Sleep and wake again and again under requests, uploads, slow answers and sockets that never cease. It counts failures
 * and times nothing, so control and gateway may run in this process.
 */
export const cycles: Scenario = {
  name: "cycles",
  parts: [],
  async run({ scale, note }) {
    await using sleeper = await openSleeper("process");
    const report = await runCycles(sleeper.pair, scale.cycles, { ...sleeper, note });
    for (const failure of report.failures.slice(0, shownFailures)) note(failure);
    const answered = Object.entries(report.answered).map(([kind, count]) => `${count} × ${kind}`);
    const all = Object.values(report.answered).reduce((sum, count) => sum + count, 0);
    return [
      {
        name: "cycles: failed requests",
        value: report.failures.length,
        unit: "",
        remark: `${report.cycles} cycles and ${report.idleStops} idle stops`,
      },
      { name: "cycles: answered requests", value: all, unit: "", remark: answered.join(", ") },
    ];
  },
};
