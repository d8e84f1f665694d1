import t from "tap";
import { Drains } from "../control/sandboxes/drain.ts";
import { missingPart } from "./parts/parts.ts";
import { runCycles } from "./sleep-wake.ts";
import { openSleeper } from "./sleeper.ts";

// Every cycle waits for a start and a stop, and the machine may be busy.
t.setTimeout(300_000);

const forms = [
  { engine: "process", skip: false },
  { engine: "docker", skip: missingPart("images") },
] as const;

for (const { engine, skip } of forms) {
  t.test(`no request fails because a sandbox goes to sleep: engine ${engine}`, { skip }, async (t) => {
    await using sleeper = await openSleeper(engine);
    const { answered, failures, idleStops } = await runCycles(sleeper.pair, 12, sleeper);
    t.same(failures, []);
    t.ok(
      Object.values(answered).every((count) => count > 0),
      JSON.stringify(answered),
    );
    t.ok(idleStops > 0, "some went to sleep by themselves");
  });
}

t.test("requests fail without the wait behind the fence: the test above can tell", async (t) => {
  t.intercept(Drains.prototype, "run", { value: async () => "clear" });
  await using sleeper = await openSleeper("process");
  const { failures } = await runCycles(sleeper.pair, 4, sleeper);
  t.ok(failures.length > 0);
});
