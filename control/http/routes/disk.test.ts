import t from "tap";
import { appBody, startControl } from "../../testing/control.ts";

t.test("GET /v1/sandboxes/{id}/disk and /v1/engine say that nothing limits the disks of processes", async (t) => {
  const control = await startControl(t);
  const { body } = await control.call("POST", "/v1/sandboxes", { body: { ...appBody, disk: "1G" } });
  t.same((await control.call("GET", `/v1/sandboxes/${body.id}/disk`)).body, {
    ...{ disk: "1G", driver: "none", limit_bytes: null, used_bytes: null, enforced: false },
  });
  t.equal((await control.call("GET", "/v1/sandboxes/01JB2Q8Z6X3V9K4M7N0P5R1S2T/disk")).status, 404);
  t.match((await control.call("GET", "/v1/engine")).body, { engine: "process", runtimes: [], details: Object });
});

t.test("a runtime that the engine does not have is refused", async (t) => {
  const control = await startControl(t);
  const refused = await control.call("POST", "/v1/sandboxes", { body: { ...appBody, runtime: "runsc" } });
  t.match(refused, {
    status: 400,
    body: { error: { code: "invalid_request", message: /runtime runsc is not to be had/ } },
  });
  t.equal((await control.call("POST", "/v1/sandboxes", { body: { ...appBody, runtime: null } })).status, 201);
});
