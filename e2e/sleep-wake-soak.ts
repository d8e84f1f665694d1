/** `npm run soak:sleep -- 200`: so many cycles of sleep and wake under load. Ends with 1 when any request failed. */
import { runCycles } from "./sleep-wake.ts";

const cycles = Number(process.argv[2] ?? 200);
const report = await runCycles(cycles, { note: (text) => console.log(text) });
console.log(JSON.stringify({ ...report, failures: report.failures.length }));
for (const failure of report.failures.slice(0, 20)) console.error(failure);
process.exitCode = report.failures.length === 0 ? 0 : 1;
