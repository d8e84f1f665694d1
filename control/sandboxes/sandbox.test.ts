import t from "tap";
import { sandboxStatuses } from "#contract/gateway-api.ts";
import { policy } from "../testing/fixture.ts";
import { newSandboxId } from "./create-sandbox.ts";
import { changed, isAsleep, isUp, mayBecome, newSandbox } from "./sandbox.ts";

const sandbox = newSandbox(newSandboxId(), policy, 1000);

t.test("newSandbox() is being created and has never run", async (t) => {
  t.match(sandbox, { status: "creating", generation: 1, run: 0, startedAt: null, lastActiveAt: 1000 });
});

t.test("changed() counts a generation and keeps when the status changed", async (t) => {
  const running = changed(sandbox, { status: "running", run: 1 }, 2000);
  t.match(running, { generation: 2, run: 1, statusSince: 2000, updatedAt: 2000, createdAt: 1000 });
  t.match(changed(running, { labels: { a: "b" } }, 3000), { generation: 3, statusSince: 2000, updatedAt: 3000 });
});

t.test("changed() throws for a transition that there is not", async (t) => {
  const stopped = changed(sandbox, { status: "stopped" }, 2000);
  t.throws(() => changed(stopped, { status: "draining" }, 3000), { message: /cannot go from stopped to draining/ });
});

t.test("mayBecome() lets nothing become creating again", async (t) => {
  for (const status of sandboxStatuses) t.equal(mayBecome(status, "creating"), status === "creating", status);
});

t.test("isUp() and isAsleep() are never both true", async (t) => {
  t.same(sandboxStatuses.filter(isUp), ["running", "draining"]);
  t.same(sandboxStatuses.filter(isAsleep), ["paused", "stopped"]);
});
