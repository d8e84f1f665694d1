/**
 * `npm run soak:crash -- 1000 [docker]`: kills control and workers of the gateway so many times in all. Ends with 1 when
 * anything was lost, doubled or forgotten.
 */
import { killAgainAndAgain } from "./trial.ts";

for (const name of ["SIGINT", "SIGTERM"] as const) process.on(name, () => process.exit(1));
const [count = "1000", engine = "process"] = process.argv.slice(2);
if (engine !== "process" && engine !== "docker") throw new Error(`There is no engine ${engine}`);
const report = await killAgainAndAgain({ kills: Number(count), engine, note: (text) => console.log(text) });
console.log(JSON.stringify({ ...report, problems: report.problems.length }));
for (const problem of report.problems.slice(0, 20)) console.error(problem);
process.exitCode = report.problems.length === 0 ? 0 : 1;
