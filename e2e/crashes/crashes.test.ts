import t from "tap";
import { hasProcessTable } from "../../control/engines/process/process-table.ts";
import { missingPart } from "../parts/parts.ts";
import { killAgainAndAgain } from "./trial.ts";

const forms = [
  { engine: "process", kills: 12, skip: !hasProcessTable && "finds processes in /proc" },
  { engine: "docker", kills: 6, skip: missingPart("images") },
] as const;

for (const { engine, kills, skip } of forms) {
  t.test(`kill -9 loses nothing and doubles nothing: engine ${engine}`, { skip }, async (t) => {
    const { problems, cutOff, visits } = await killAgainAndAgain({ kills, engine });
    t.same(problems, []);
    t.ok(Object.values(cutOff).reduce((sum, count) => sum + count, 0) > 0, "something was under way");
    t.ok(visits["200 hello"]! > 0, "somebody visited meanwhile");
  });
}
