import t from "tap";
import { newId } from "../engine-under-test.ts";
import { parseEvent } from "./container-events.ts";

t.test("parseEvent() takes the events of sandboxes and no others", async (t) => {
  const id = newId();
  const event = (Action: string, Attributes: object) => parseEvent(JSON.stringify({ Action, Actor: { Attributes } }));
  const ours = { "sandboxed.id": id };
  t.same(event("start", ours), { type: "start", id });
  t.same(event("destroy", ours), { type: "destroy", id });
  t.same(event("die", { ...ours, exitCode: "137" }), { type: "die", id, exitCode: 137 });
  t.same(event("kill", { ...ours, signal: "9" }), { type: "kill", id, signal: "9" });
  t.equal(event("exec_create: sh", ours), undefined);
  t.equal(event("start", { "sandboxed.id": "nonsense" }), undefined);
  t.equal(event("start", {}), undefined);
  t.equal(parseEvent("{}"), undefined);
});
