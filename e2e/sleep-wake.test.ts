import t from "tap";
import { Drains } from "../control/sandboxes/drain.ts";
import { runCycles } from "./sleep-wake.ts";

// Every cycle waits for a start and a stop, and the machine may be busy.
t.setTimeout(300_000);

t.test("no request fails because a sandbox goes to sleep", async (t) => {
  const { answered, failures, idleStops } = await runCycles(12);
  t.same(failures, []);
  t.ok(
    Object.values(answered).every((count) => count > 0),
    JSON.stringify(answered),
  );
  t.ok(idleStops > 0, "some went to sleep by themselves");
});

t.test("requests fail without the wait behind the fence: the test above can tell", async (t) => {
  t.intercept(Drains.prototype, "run", { value: async () => "clear" });
  const { failures } = await runCycles(4);
  t.ok(failures.length > 0);
});
