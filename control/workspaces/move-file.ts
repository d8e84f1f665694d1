import { mkdir, rename } from "node:fs/promises";
import { ApiError } from "../api-error.ts";
import { toFailure } from "./failure.ts";
import { type Parts, walkToParent } from "./walk.ts";
import type { Workspace } from "./workspace.ts";

/**
 * Gives a file, link or directory another name or place; directories that are missing are made. What is there already is in
 * the way, unless `overwrite` says that it goes. Throws ApiError.
 */
export async function moveFile(
  workspace: Workspace,
  from: Parts,
  to: Parts,
  { overwrite }: { overwrite: boolean },
): Promise<void> {
  const source = await walkToParent(workspace, from);
  await using left = source.directory;
  try {
    await left.look(source.name);
    const target = await walkToParent(workspace, to, { create: true });
    await using entered = target.directory;
    const present = await entered.look(target.name).catch(() => undefined);
    if (present !== undefined && !overwrite) throw new ApiError("conflict", "Something is there already");
    await rename(left.at(source.name), entered.at(target.name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EINVAL") throw toFailure(error);
    throw new ApiError("invalid_request", "body: a directory cannot be moved into itself", { cause: error });
  }
}

/** Makes a directory with those above it; one that is there is fine. Returns whether it was made. Throws ApiError. */
export async function makeDirectory(workspace: Workspace, parts: Parts): Promise<boolean> {
  const parent = await walkToParent(workspace, parts, { create: true });
  await using directory = parent.directory;
  const { name } = parent;
  try {
    const made = await mkdir(directory.at(name), 0o755).then(
      () => true,
      (error: NodeJS.ErrnoException) => {
        if (error.code === "EEXIST") return false;
        throw error;
      },
    );
    await using place = await directory.enter(name);
    if (!place.stats.isDirectory()) throw new ApiError("conflict", "Something is there that is no directory");
    if (made) await workspace.giveToOwner(place);
    return made;
  } catch (error) {
    throw toFailure(error);
  }
}
