import t from "tap";
import { newSandboxId } from "../sandboxes/create-sandbox.ts";
import { Database } from "./database.ts";
import { WorkspaceStore } from "./workspace-store.ts";

const nobody = { userId: null, projectId: null, workspaceId: null };

t.test("WorkspaceStore tells a workspace of nobody from none", async (t) => {
  const database = new Database(":memory:", () => {});
  t.teardown(() => database.close());
  const workspaces = new WorkspaceStore(database);
  const id = newSandboxId();
  t.equal(workspaces.owner(id), undefined);
  workspaces.keep(id, nobody, 1);
  t.same(workspaces.owner(id), nobody);
  const ada = { userId: "ada", projectId: "shop", workspaceId: "w" };
  workspaces.keep(id, ada, 2);
  t.same(workspaces.owner(id), ada);
  t.same([workspaces.ofOwner("user", "ada"), workspaces.ofOwner("project", "shop")], [[id], [id]]);
  t.same([workspaces.ofOwner("user", "eve"), workspaces.ofOwner("project", "ada")], [[], []]);
  const eve = { ...nobody, userId: "eve" };
  workspaces.claim(id, eve);
  t.same(workspaces.owner(id), eve);
  workspaces.forget(id);
  t.equal(workspaces.owner(id), undefined);
});
