/**
 * `npm run soak:sleep -- 200 [docker]`: so many cycles of sleep and wake under load. Ends with 1 when any request failed.
 */

import { runCycles } from "./sleep-wake.ts";
import { openSleeper } from "./sleeper.ts";

const [count = "200", engine = "process"] = process.argv.slice(2);
if (engine !== "process" && engine !== "docker") throw new Error(`There is no engine ${engine}`);
await using sleeper = await openSleeper(engine);
const report = await runCycles(sleeper.pair, Number(count), { ...sleeper, note: (text) => console.log(text) });
console.log(JSON.stringify({ ...report, failures: report.failures.length }));
for (const failure of report.failures.slice(0, 20)) console.error(failure);
process.exitCode = report.failures.length === 0 ? 0 : 1;
