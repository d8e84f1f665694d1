import t from "tap";
import { appBody, startControl } from "../../testing/control.ts";

t.test("GET /v1/sandboxes/{id}/usage says what a process takes, and that nothing limits it", async (t) => {
  const control = await startControl(t);
  const { body } = await control.call("POST", "/v1/sandboxes", { body: appBody });
  const { status, body: usage } = await control.call("GET", `/v1/sandboxes/${body.id}/usage`);
  t.equal(status, 200);
  t.match(usage, { memory: { used_bytes: Number, limit_bytes: null, refused: null } });
  t.same(usage.processes, { count: null, limit: null, refused: null });
  t.same(usage.cpu, { used_seconds: null, limit: null, throttled_seconds: null });
  t.equal((await control.call("GET", "/v1/sandboxes/01JB2Q8Z6X3V9K4M7N0P5R1S2T/usage")).status, 404);
});
