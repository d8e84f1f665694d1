import t from "tap";
import { Drains } from "../control/sandboxes/drain.ts";
import { openDockerNetwork } from "./docker-network.ts";
import { missingPart } from "./parts/parts.ts";
import { runCycles } from "./sleep-wake.ts";

// Every cycle waits for a start and a stop, and the machine may be busy.
t.setTimeout(300_000);

const forms = [
  { engine: "process", skip: false },
  { engine: "docker", skip: missingPart("images") },
] as const;

for (const { engine, skip } of forms) {
  t.test(`no request fails because a sandbox goes to sleep: engine ${engine}`, { skip }, async (t) => {
    await using network = engine === "docker" ? await openDockerNetwork() : undefined;
    const containers = network && { variables: network.variables, node: "node" };
    const { answered, failures, idleStops } = await runCycles(12, containers);
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
  const { failures } = await runCycles(4);
  t.ok(failures.length > 0);
});
