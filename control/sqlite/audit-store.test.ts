import t from "tap";
import { AuditStore } from "./audit-store.ts";
import { Database } from "./database.ts";

const entry = {
  ...{ actorKind: "token", actorName: "ada", ip: null, action: "sandbox.stop", target: "x" },
  ...{ outcome: "done" as const, detail: { status: 200 } },
};

t.test("the database refuses to change or shorten the audit log", async (t) => {
  const database = new Database(":memory:", () => {});
  const store = new AuditStore(database);
  store.append([entry, entry], 1000);
  t.throws(() => database.run("UPDATE audit_log SET actor_name = 'eve'"), /never changed/);
  t.throws(() => database.run("DELETE FROM audit_log"), /never shortened/);
  t.throws(() => database.run("DELETE FROM audit_log WHERE id = 1"), /never shortened/);
  t.throws(() => database.run("INSERT OR REPLACE INTO audit_log SELECT * FROM audit_log WHERE id = 1"), /never/);
  t.equal(store.list({ limit: 10 }).length, 2);
});

t.test("AuditStore.prune() forgets what is old, and lets nobody else", async (t) => {
  const database = new Database(":memory:", () => {});
  const store = new AuditStore(database);
  store.append([entry], 1000);
  store.append([entry], 2000);
  t.equal(store.prune(1500), 1);
  t.match(store.list({ limit: 10 }), [{ id: 2, time: 2000, detail: { status: 200 } }]);
  t.throws(() => database.run("DELETE FROM audit_log"), /never shortened/);
});
