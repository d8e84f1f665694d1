import t from "tap";
import { Database } from "./database.ts";
import { GatewayWorkerStore } from "./gateway-worker-store.ts";

t.test("GatewayWorkerStore knows each worker once, until it is removed", async (t) => {
  const database = new Database(":memory:", () => {});
  t.teardown(() => database.close());
  const store = new GatewayWorkerStore(database);
  for (const id of ["a", "b", "a"]) store.add(id);
  t.same(new GatewayWorkerStore(database).ids().sort(), ["a", "b"]);
  store.remove("a");
  store.remove("unknown");
  t.same(store.ids(), ["b"]);
});
