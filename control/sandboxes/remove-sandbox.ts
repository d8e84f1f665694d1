import type { SandboxId } from "#contract/sandbox-id.ts";
import { ApiError, notFound } from "../api-error.ts";
import { EngineError } from "../engines/sandbox-engine.ts";
import type { Collaborators } from "./collaborators.ts";
import type { Removal, Sandbox } from "./sandbox.ts";

/**
 * Removes a sandbox, and what is its own as `how` says: a workspace that stays is its owner's. What it does at the moment ends.
 * Throws ApiError `not_found`, and `engine_unavailable` when the rest is left to the next reconcile.
 */
export async function removeSandbox(use: Collaborators, id: SandboxId, how: Removal): Promise<void> {
  use.flights.abort(id);
  use.admission.cancel(id);
  use.drains.get(id)?.hurry();
  await use.lock.run(id, async () => {
    const sandbox = use.records.get(id);
    if (sandbox === undefined) throw notFound();
    use.records.beginRemoval(id, how, { kind: "remove", cause: "operator", outcome: how });
    await finishRemoval(use, { ...sandbox, removing: how });
  });
}

/** Does what is left of a removal; as often as need be. The caller holds the lock. */
export async function finishRemoval(
  { engine, records, workspaces, snapshots, ledger, now }: Collaborators,
  sandbox: Sandbox,
): Promise<void> {
  const { id, removing, external } = sandbox;
  try {
    await engine.remove(id, { workspace: removing !== "keep" });
  } catch (cause) {
    if (!(cause instanceof EngineError)) throw cause;
    throw new ApiError("engine_unavailable", `It will be removed later: ${cause.message}`, {
      cause,
      retryAfterSeconds: 5,
    });
  }
  if (removing === "all") await snapshots.removeOf(id);
  if (removing === "keep") workspaces.keep(id, external, now());
  else workspaces.forget(id);
  records.delete(id);
  ledger.forget(id);
}

/**
 * Removes a sandbox with all that is its own, or what a removed one left of that. Returns the bytes that this frees, of
 * which a file system that shares blocks may free less. Throws ApiError.
 */
export async function purgeSandbox(use: Collaborators, id: SandboxId): Promise<number> {
  const { records, lock, workspaces, snapshots, engine } = use;
  const bytes = await snapshots.bytesOf(id);
  if (records.get(id) !== undefined) {
    await removeSandbox(use, id, "all");
    return bytes;
  }
  await lock.run(id, async () => {
    if (workspaces.owner(id) === undefined) throw notFound();
    await engine.remove(id, { workspace: true });
    await snapshots.removeOf(id);
    workspaces.forget(id);
  });
  return bytes;
}
