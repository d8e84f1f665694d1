import t from "tap";
import { newSandboxId } from "../sandboxes/create-sandbox.ts";
import { Database } from "./database.ts";
import { WorkspaceStore } from "./workspace-store.ts";

t.test("WorkspaceStore tells a workspace of nobody from none", async (t) => {
  const database = new Database(":memory:", () => {});
  t.teardown(() => database.close());
  const workspaces = new WorkspaceStore(database);
  const id = newSandboxId();
  t.equal(workspaces.owner(id), undefined);
  workspaces.keep(id, null, 1);
  t.equal(workspaces.owner(id), null);
  workspaces.keep(id, "ada", 2);
  t.equal(workspaces.owner(id), "ada");
  workspaces.forget(id);
  t.equal(workspaces.owner(id), undefined);
});
