import t from "tap";
import { hasProcessTable } from "../engines/process/process-table.ts";
import { killAgainAndAgain } from "../testing/crash-safety.ts";

t.test("kill -9 of control loses nothing and doubles nothing", { skip: !hasProcessTable }, async (t) => {
  const { problems, cutOff } = await killAgainAndAgain(6);
  t.same(problems, []);
  t.ok(Object.values(cutOff).reduce((sum, count) => sum + count, 0) > 0, "something was under way");
});
