import { randomUUID } from "node:crypto";
import { readdir, rename, stat } from "node:fs/promises";
import { join } from "node:path";
import { removeTree } from "../snapshots/tree-copy.ts";

const replaced = /^\.replaced-([^.]+)-[0-9a-f-]{36}$/;

/**
 * Takes a workspace out of its place because a copy, which is complete, gets there. Returns where it is until then: after
 * a crash `finishReplacing()` puts it back, or removes it when the copy got there.
 */
export async function moveAside(workspaces: string, id: string): Promise<string> {
  const aside = join(workspaces, `.replaced-${id}-${randomUUID()}`);
  await rename(join(workspaces, id), aside);
  return aside;
}

/** Finishes what a crash cut off. `hasCopy` knows copies that are complete without being in their place. */
export async function finishReplacing(workspaces: string, hasCopy: (id: string) => Promise<boolean>): Promise<void> {
  for (const name of await namesIn(workspaces)) {
    const id = replaced.exec(name)?.[1];
    if (id === undefined) continue;
    const place = join(workspaces, id);
    if ((await isThere(place)) || (await hasCopy(id))) await removeTree(join(workspaces, name));
    else await rename(join(workspaces, name), place);
  }
}

export function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** None where there is no such directory. */
export function namesIn(directory: string): Promise<string[]> {
  return readdir(directory).catch(() => []);
}
