import { randomUUID } from "node:crypto";
import { rename, rmdir, unlink } from "node:fs/promises";
import { ApiError } from "../api-error.ts";
import { toFailure } from "./failure.ts";
import type { Place } from "./place.ts";
import { type Parts, walkToParent } from "./walk.ts";
import type { Workspace } from "./workspace.ts";
import { unfinishedPrefix } from "./write-file.ts";

/** Each level down holds a descriptor; what is deeper is brought up first. */
const mostDepth = 64;
/** A sandbox may fill a directory as fast as it is emptied. */
const patienceMs = 60_000;

/** Removes a file, a link as itself, or a directory: an empty one, or with `recursive` all that is in it. Throws ApiError. */
export async function removeFiles(
  workspace: Workspace,
  parts: Parts,
  { recursive }: { recursive: boolean },
): Promise<void> {
  const parent = await walkToParent(workspace, parts);
  await using directory = parent.directory;
  const { name } = parent;
  try {
    const stats = await directory.look(name);
    if (!stats.isDirectory()) await unlink(directory.at(name));
    else if (recursive) await removeTree(directory, name);
    else await rmdir(directory.at(name));
  } catch (error) {
    throw toFailure(error);
  }
}

async function removeTree(parent: Place, name: Buffer): Promise<void> {
  await using top = await parent.enter(name);
  const deadline = Date.now() + patienceMs;
  for (;;) {
    await empty(top, { top, deadline, depth: 1 });
    try {
      return await rmdir(parent.at(name));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOTEMPTY") throw error;
    }
  }
}

type Course = { readonly top: Place; readonly deadline: number; readonly depth: number };

async function empty(directory: Place, course: Course): Promise<void> {
  for await (const name of directory.names()) {
    if (Date.now() > course.deadline) throw new ApiError("conflict", "The directory is being filled meanwhile");
    try {
      await remove(directory, name, course);
    } catch (error) {
      // Gone already, or filled again: the next round sees to it.
      const { code } = error as NodeJS.ErrnoException;
      if (code !== "ENOENT" && code !== "ENOTEMPTY" && code !== "ENOTDIR" && code !== "EISDIR") throw error;
    }
  }
}

async function remove(directory: Place, name: Buffer, { top, deadline, depth }: Course): Promise<void> {
  const stats = await directory.look(name);
  if (!stats.isDirectory()) return unlink(directory.at(name));
  if (depth >= mostDepth) {
    return rename(directory.at(name), top.at(Buffer.from(`${unfinishedPrefix}${randomUUID()}`)));
  }
  {
    await using below = await directory.enter(name);
    if (below.stats.isDirectory()) await empty(below, { top, deadline, depth: depth + 1 });
  }
  await rmdir(directory.at(name));
}
