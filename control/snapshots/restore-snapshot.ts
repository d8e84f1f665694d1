import type { SandboxId } from "#contract/sandbox-id.ts";
import { ApiError, notFound, refusalError } from "../api-error.ts";
import type { Collaborators } from "../sandboxes/collaborators.ts";
import { isUp, type Sandbox } from "../sandboxes/sandbox.ts";
import { stopHoldingLock } from "../sandboxes/stop-sandbox.ts";
import { wakeSandbox } from "../sandboxes/wake-sandbox.ts";
import type { SnapshotId } from "./snapshot.ts";
import { TreeError } from "./tree-copy.ts";

const drainMs = 10_000;

/**
 * Puts a snapshot in the place of a sandbox's workspace. The copy is made while the sandbox goes on; then it is stopped as
 * by hand, the workspaces change places, and it is woken if it was awake. What comes meanwhile is held. Throws ApiError
 * `not_found`, `workspace_owner_mismatch`, `conflict`, `too_large`, and what a refused wake says.
 */
export async function restoreSnapshot(use: Collaborators, id: SandboxId, snapshotId: SnapshotId): Promise<Sandbox> {
  const { snapshots, records, lock, logger } = use;
  const { files } = snapshots;
  const wasAwake = await snapshots.copying(async () => {
    const sandbox = records.get(id);
    if (sandbox === undefined) throw notFound();
    const snapshot = snapshots.findFor(sandbox.external, snapshotId);
    try {
      await files.stage(snapshot.id, id);
      return await lock.run(id, () => replace(use, id, snapshot.id));
    } catch (error) {
      throw error instanceof TreeError ? new ApiError("conflict", `It cannot be copied: ${error.message}`) : error;
    } finally {
      await files.tidy(id).catch((error: unknown) => {
        logger.error({ sandbox: id, err: error }, "a replaced workspace is left to the next start");
      });
    }
  });
  logger.info({ sandbox: id, snapshot: snapshotId }, "a snapshot was restored");
  if (wasAwake) {
    const woken = await wakeSandbox(use, id, { cause: "restart", insist: true });
    if (woken.outcome === "refused") throw refusalError(woken.refusal);
  }
  const sandbox = records.get(id);
  if (sandbox === undefined) throw notFound();
  return sandbox;
}

/** Returns whether the sandbox was awake. The caller holds its lock. */
async function replace(use: Collaborators, id: SandboxId, snapshotId: SnapshotId): Promise<boolean> {
  const { records, snapshots } = use;
  const before = records.get(id);
  if (before === undefined) throw notFound();
  if (before.status === "creating") throw new ApiError("conflict", "The sandbox is not complete");
  const drain = { kind: "asked", milliseconds: drainMs } as const;
  await stopHoldingLock(use, id, { cause: "restore", mode: "stop", drain });
  await use.engine.replaceWorkspace(id, () => snapshots.files.swap(id));
  const anew = { reason: null, crashes: 0, retryAt: null } as const;
  records.change(id, anew, { kind: "change", cause: "restore", outcome: snapshotId });
  return isUp(before.status);
}
