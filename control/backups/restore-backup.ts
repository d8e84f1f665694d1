import { copyFile, mkdir, open, rename, stat } from "node:fs/promises";
import { join } from "node:path";
import { parseSandboxId, type SandboxId } from "#contract/sandbox-id.ts";
import { systemTool } from "../disks/tool.ts";
import { copyTree, removeTree, syncTree } from "../snapshots/tree-copy.ts";
import { lockDataDirectory } from "../sqlite/data-lock.ts";
import { Database } from "../sqlite/database.ts";
import type { Backup } from "./backup.ts";
import { databaseName, readBackup, workspacesName } from "./backup-files.ts";
import { noteRestored } from "./restored-runs.ts";
import { verifyDatabase } from "./verify-database.ts";

/** Why nothing was restored, for whoever asked for it. */
export class RestoreError extends Error {
  override readonly name = "RestoreError";
}

export type RestoreOptions = {
  /** What is in the way is replaced: the database is set aside, workspaces go. */
  readonly replace: boolean;
  /** Epoch milliseconds. */
  readonly now: () => number;
};

/**
 * Puts a backup into a data directory on which no control runs, and returns what it was. It is looked at first, and the
 * database comes last: a restore that is cut off has changed nothing that another one does not change again. Throws
 * RestoreError, and DataLockedError while a control runs.
 */
export async function restoreBackup(
  directory: string,
  dataDirectory: string,
  options: RestoreOptions,
): Promise<Backup> {
  const backup = await readBackup(directory).catch((cause) => {
    throw new RestoreError(`There is no backup in ${directory}`, { cause });
  });
  const state = join(dataDirectory, "state");
  const unlock = lockDataDirectory(state);
  try {
    if (!options.replace) await checkFree(backup, dataDirectory);
    const fresh = join(state, `${databaseName}.restored`);
    await copyFile(join(directory, databaseName), fresh);
    await checkDatabase(fresh);
    await noteRestored(dataDirectory, workspacesOf(backup));
    await restoreWorkspaces(backup, directory, dataDirectory);
    await replaceDatabase(fresh, state, options.now());
    return backup;
  } finally {
    unlock();
  }
}

/** What is there already is not written over by mistake. */
async function checkFree(backup: Backup, dataDirectory: string): Promise<void> {
  const taken = [join("state", databaseName), ...workspacesOf(backup).map((id) => join("workspaces", id))];
  for (const path of taken.map((each) => join(dataDirectory, each)))
    if (await exists(path))
      throw new RestoreError(`${path} is there already; --replace puts the backup's in its place`);
}

function workspacesOf({ workspaces }: Backup): readonly SandboxId[] {
  return (workspaces ?? []).flatMap((id) => parseSandboxId(id) ?? []);
}

/** It is whole, and this program knows all of its migrations. */
async function checkDatabase(path: string): Promise<void> {
  try {
    await verifyDatabase(path);
    new Database(path, () => {}).close();
  } catch (cause) {
    throw new RestoreError(`The backup's database cannot be used: ${(cause as Error).message}`, { cause });
  }
}

async function restoreWorkspaces(backup: Backup, directory: string, dataDirectory: string): Promise<void> {
  const ids = workspacesOf(backup);
  const place = (name: string) => join(dataDirectory, "workspaces", name);
  await mkdir(place("."), { recursive: true });
  for (const id of ids) {
    const [staged, replaced] = [place(`.${id}.restored`), place(`.${id}.replaced`)];
    await removeTree(staged);
    await takeDiskAway(dataDirectory, id);
    await copyTree(join(directory, workspacesName, id), staged);
    if (await exists(place(id))) await rename(place(id), replaced);
    await rename(staged, place(id));
    await removeTree(replaced);
  }
  if (ids.length > 0) await syncTree(place("."));
}

/**
 * What is mounted in a workspace's place would hide the one that is put there; control makes it a disk again when it starts
 * the sandbox. The next start removes the image.
 */
async function takeDiskAway(dataDirectory: string, id: SandboxId): Promise<void> {
  const image = (name: string) => join(dataDirectory, "disks", `${name}.img`);
  if (!(await exists(image(id)))) return;
  const tool = systemTool("/usr/local/bin:/usr/bin:/bin");
  // After a reboot it is not mounted yet.
  await tool("umount", join(dataDirectory, "workspaces", id)).catch(() => {});
  await rename(image(id), image(`.${id}`));
}

/** Its log goes with a database that is set aside: to another one it would be poison. */
async function replaceDatabase(fresh: string, state: string, now: number): Promise<void> {
  const path = join(state, databaseName);
  if (await exists(path)) {
    const aside = join(state, `sandboxd-before-${now}.db`);
    for (const part of ["-wal", "-shm", ""]) if (await exists(path + part)) await rename(path + part, aside + part);
  }
  for (const part of ["-wal", "-shm"]) await removeTree(path + part);
  const file = await open(fresh);
  await file.sync().finally(() => file.close());
  await rename(fresh, path);
  const directory = await open(state);
  await directory.sync().finally(() => directory.close());
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
