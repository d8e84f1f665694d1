import t from "tap";
import { isGone } from "./container-calls.ts";
import { toEngineError } from "./docker-client.ts";

t.test("isGone() counts a container that is on its way out", async (t) => {
  const refusal = (statusCode: number, message: string) => Object.assign(new Error(message), { statusCode });
  const dying = "can not get logs from container which is dead or marked for removal";
  t.ok(isGone(refusal(404, "No such container: s-1")));
  t.ok(isGone(refusal(409, dying)));
  t.ok(isGone(toEngineError(refusal(409, dying))));
  t.notOk(isGone(refusal(409, "removal of container s-1 is already in progress")), "that one is waited for");
  t.notOk(isGone(refusal(409, "Container s-1 is paused")));
  t.notOk(isGone(new Error("socket hang up")));
});
