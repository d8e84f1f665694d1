import type { SandboxId } from "#contract/sandbox-id.ts";
import { notFound } from "../api-error.ts";
import type { Collaborators } from "./collaborators.ts";
import type { External } from "./sandbox.ts";

/**
 * Makes a sandbox somebody else's, or the workspace alone that a removed one left: whose it was does not count, since
 * whoever calls speaks for all of them. Throws ApiError `not_found`, and `forbidden` past the new owner's limit.
 */
export async function claimSandbox(use: Collaborators, id: SandboxId, external: External): Promise<void> {
  const { lock, records, limits, workspaces } = use;
  await lock.run(id, async () => {
    const sandbox = records.get(id);
    if (sandbox === undefined) {
      if (workspaces.owner(id) === undefined) throw notFound();
      return workspaces.claim(id, external);
    }
    limits.checkCount(external.userId, id);
    records.change(id, { external }, { kind: "change", cause: "operator", detail: "claim" });
  });
}
