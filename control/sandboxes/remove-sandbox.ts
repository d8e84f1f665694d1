import type { SandboxId } from "#contract/sandbox-id.ts";
import { ApiError, notFound } from "../api-error.ts";
import { EngineError } from "../engines/sandbox-engine.ts";
import type { Collaborators } from "./collaborators.ts";
import type { Sandbox } from "./sandbox.ts";

/**
 * Removes a sandbox, with its workspace unless that is to be kept for its owner. What it does at the moment ends.
 * Throws ApiError `not_found`, and `engine_unavailable` when the rest is left to the next reconcile.
 */
export async function removeSandbox(
  use: Collaborators,
  id: SandboxId,
  { keepWorkspace }: { keepWorkspace: boolean },
): Promise<void> {
  use.flights.abort(id);
  use.admission.cancel(id);
  use.drains.get(id)?.hurry();
  await use.lock.run(id, async () => {
    const sandbox = use.records.get(id);
    if (sandbox === undefined) throw notFound();
    const how = keepWorkspace ? "keep" : "workspace";
    use.records.beginRemoval(id, how, { kind: "remove", cause: "operator", outcome: how });
    await finishRemoval(use, { ...sandbox, removing: how });
  });
}

/** Does what is left of a removal; as often as need be. The caller holds the lock. */
export async function finishRemoval(
  { engine, records, workspaces, ledger, now }: Collaborators,
  sandbox: Sandbox,
): Promise<void> {
  const { id, removing, external } = sandbox;
  try {
    await engine.remove(id, { workspace: removing === "workspace" });
  } catch (cause) {
    if (!(cause instanceof EngineError)) throw cause;
    throw new ApiError("engine_unavailable", `It will be removed later: ${cause.message}`, {
      cause,
      retryAfterSeconds: 5,
    });
  }
  if (removing === "keep") workspaces.keep(id, external, now());
  else workspaces.forget(id);
  records.delete(id);
  ledger.forget(id);
}

/** Removes a sandbox and its workspace, or the workspace alone that a removed one left. Throws ApiError. */
export async function purgeSandbox(use: Collaborators, id: SandboxId): Promise<void> {
  if (use.records.get(id) !== undefined) return removeSandbox(use, id, { keepWorkspace: false });
  await use.lock.run(id, async () => {
    if (use.workspaces.owner(id) === undefined) throw notFound();
    await use.engine.remove(id, { workspace: true });
    use.workspaces.forget(id);
  });
}
