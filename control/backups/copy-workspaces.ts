import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { SandboxId } from "#contract/sandbox-id.ts";
import { ApiError } from "../api-error.ts";
import type { Collaborators } from "../sandboxes/collaborators.ts";
import { standingStill } from "../snapshots/standing-still.ts";
import { copyTree, dropSpecial } from "../snapshots/tree-copy.ts";
import type { Backup } from "./backup.ts";

export type Copied = Required<Pick<Backup, "failed">> & { readonly ids: readonly SandboxId[] };

/**
 * Copies every workspace into a directory, one after the other: each sandbox stands still for its own alone, and one that
 * cannot be copied keeps no other from being so.
 */
export async function copyWorkspaces(use: Collaborators, directory: string, signal: AbortSignal): Promise<Copied> {
  await mkdir(directory, { mode: 0o700 });
  const ids: SandboxId[] = [];
  const failed: { id: string; message: string }[] = [];
  const sandboxes = use.store.all().map(({ id }) => id);
  for (const id of [...sandboxes, ...use.workspaces.ids()]) {
    signal.throwIfAborted();
    try {
      if (await copyWorkspace(use, id, join(directory, id))) ids.push(id);
    } catch (error) {
      use.logger.error({ sandbox: id, err: error }, "a workspace could not be copied into the backup");
      failed.push({ id, message: (error as Error).message.slice(0, 200) });
    }
  }
  return { ids, failed };
}

/** Returns false for one that is not there. */
async function copyWorkspace(use: Collaborators, id: SandboxId, to: string): Promise<boolean> {
  const { snapshots, lock, workspaces } = use;
  const { files } = snapshots;
  return snapshots.copying(async () => {
    if (!(await files.hasWorkspace(id))) return false;
    await files.checkRoomFor(id);
    const copy = () => copyTree(files.workspace(id), to);
    try {
      if (workspaces.owner(id) === undefined) await standingStill(use, id, copy);
      else await lock.run(id, copy);
    } catch (error) {
      if (error instanceof ApiError && error.code === "not_found") return false;
      throw error;
    }
    await dropSpecial(to);
    return true;
  });
}
