import t from "tap";
import { appBody, startControl } from "../../testing/control.ts";

const nothing = { metadata: 0, host: 0, sandbox: 0, abuse: 0, private: 0, smtp: 0, flood: 0 };

t.test("GET /v1/egress says that nothing holds processes back", async (t) => {
  const control = await startControl(t);
  const { status, body } = await control.call("GET", "/v1/egress");
  t.equal(status, 200);
  t.match(body, { mode: "off", installed: false, problem: null, table: null, reinstalls: 0, blocked: nothing });
  t.notMatch((await control.call("GET", "/metrics")).text, "sandboxd_egress_installed 0");
});

t.test("a sandbox's allow list is checked, kept, shown and patched", async (t) => {
  const control = await startControl(t);
  const egress = { allow: ["10.1.2.3/24", "DB.internal:5432"] };
  const created = await control.call("POST", "/v1/sandboxes", { body: { ...appBody, egress } });
  t.equal(created.status, 201);
  t.same(created.body.egress, { allow: ["10.1.2.0/24", "db.internal:5432"] });
  const path = `/v1/sandboxes/${created.body.id}`;
  t.match((await control.call("GET", `${path}/egress`)).body, {
    ...{ mode: "off", allow: ["10.1.2.0/24", "db.internal:5432"], names: [] },
    blocked: nothing,
  });
  const bad = await control.call("PATCH", path, { body: { egress: { allow: ["10.0.0.1:x"] } } });
  t.match(bad, { status: 400, body: { error: { code: "invalid_request", message: /egress: "10\.0\.0\.1:x"/ } } });
  t.equal((await control.call("PATCH", path, { body: { egress: { deny: [] } } })).status, 400);
  const kept = await control.call("PATCH", path, { body: { egress: {} } });
  t.equal(kept.body.egress.allow.length, 2);
  const emptied = await control.call("PATCH", path, { body: { egress: null } });
  t.same(emptied.body.egress, { allow: [] });
  t.equal((await control.call("GET", "/v1/sandboxes/01JB2Q8Z6X3V9K4M7N0P5R1S2T/egress")).status, 404);
});
