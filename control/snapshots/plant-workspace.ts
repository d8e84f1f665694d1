import { EngineError } from "../engines/sandbox-engine.ts";
import type { Collaborators } from "../sandboxes/collaborators.ts";
import type { Sandbox } from "../sandboxes/sandbox.ts";

/**
 * Makes the workspace of a sandbox that begins with a snapshot, once: one that is there is left alone. The caller holds the
 * sandbox's lock, which is no longer waited for by anything that copies: a new sandbox has nothing to copy. Throws
 * EngineError `start_failed`.
 */
export async function plantWorkspace({ snapshots }: Collaborators, { id, fromSnapshot }: Sandbox): Promise<void> {
  const { files, store } = snapshots;
  if (fromSnapshot === null || (await files.hasWorkspace(id))) return;
  try {
    if (store.get(fromSnapshot) === undefined) throw new Error("the snapshot is not there any more");
    await files.stage(fromSnapshot, id);
    await files.plant(id);
  } catch (cause) {
    await files.tidy(id);
    throw new EngineError("start_failed", `Its workspace cannot be made: ${(cause as Error).message}`, { cause });
  }
}
