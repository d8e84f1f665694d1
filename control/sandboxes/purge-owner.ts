import type { SandboxId } from "#contract/sandbox-id.ts";
import { ApiError } from "../api-error.ts";
import type { Collaborators } from "./collaborators.ts";
import { purgeSandbox } from "./remove-sandbox.ts";

export type OwnerKind = "user" | "project";

const purgedAtOnce = 4;
const everyOne = 2 ** 31 - 1;

/**
 * Removes everything of one external user or project: sandboxes, workspaces that removed ones left, and snapshots with the
 * templates that name them. What is made meanwhile is not looked for. `onPurged` hears of each. Rejects with the first failure once all others were tried;
 * another call does the rest.
 */
export async function purgeOwner(
  use: Collaborators,
  kind: OwnerKind,
  externalId: string,
  onPurged: (id: SandboxId, bytes: number) => void,
): Promise<void> {
  const left = [...use.store.ofOwner(kind, externalId), ...use.workspaces.ofOwner(kind, externalId)].values();
  const failures: unknown[] = [];
  const purgeSome = async () => {
    for (const id of left) {
      try {
        onPurged(id, await purgeSandbox(use, id));
      } catch (error) {
        if (!isGone(error)) failures.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: purgedAtOnce }, purgeSome));
  const owner = kind === "user" ? { externalUserId: externalId } : { externalProjectId: externalId };
  await use.snapshots.removeAll(use.snapshots.store.list({ ...owner, limit: everyOne }).map(({ id }) => id));
  if (failures.length > 0) throw failures[0];
}

/** Somebody else has removed it. */
function isGone(error: unknown): boolean {
  return error instanceof ApiError && error.code === "not_found";
}
