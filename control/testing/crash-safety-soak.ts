/** `npm run soak:crash -- 1000`: kills control so many times. Ends with 1 when anything was lost, doubled or forgotten. */
import { killAgainAndAgain } from "./crash-safety.ts";

const kills = Number(process.argv[2] ?? 1000);
const report = await killAgainAndAgain(kills, (text) => console.log(text));
console.log(JSON.stringify({ ...report, problems: report.problems.length }));
for (const problem of report.problems.slice(0, 20)) console.error(problem);
process.exitCode = report.problems.length === 0 ? 0 : 1;
