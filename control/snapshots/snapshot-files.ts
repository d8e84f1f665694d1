import { access, mkdir, open, readdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { parseSandboxId, type SandboxId } from "#contract/sandbox-id.ts";
import type { SnapshotId } from "./snapshot.ts";
import { checkRoom, copyTree, dropSpecial, removeTree, type Skipped, syncTree, treeBytes } from "./tree-copy.ts";

/** A copy that is whole and has its place. */
export type Kept = Skipped & { readonly sizeBytes: number };

/** What lies beside workspaces and snapshots while they are made and replaced: `.<id>.<this>`. */
type Stage = "partial" | "restored" | "replaced" | "removed";

/**
 * Workspaces and their copies on the disk: `workspaces/<id>` and, out of every sandbox's reach, `snapshots/<id>`. Each is
 * put together beside its place and moved there whole, so that one which is there is complete, however this program ended.
 */
export class SnapshotFiles {
  readonly #workspaces: string;
  readonly #snapshots: string;

  constructor(dataDirectory: string) {
    this.#workspaces = join(dataDirectory, "workspaces");
    this.#snapshots = join(dataDirectory, "snapshots");
  }

  workspace(id: SandboxId): string {
    return join(this.#workspaces, id);
  }

  hasWorkspace(id: SandboxId): Promise<boolean> {
    return exists(this.workspace(id));
  }

  hasSnapshot(id: SnapshotId): Promise<boolean> {
    return exists(join(this.#snapshots, id));
  }

  /** Throws ApiError `too_large`. */
  async checkRoomFor(workspace: SandboxId): Promise<void> {
    await this.#ready();
    await checkRoom(this.#snapshots, await treeBytes(this.workspace(workspace)));
  }

  /** Copies a workspace that nobody writes to: all that a sandbox stands still for. */
  async copy(workspace: SandboxId, to: SnapshotId): Promise<void> {
    await copyTree(this.workspace(workspace), this.#beside(this.#snapshots, to, "partial"));
  }

  /** Makes a snapshot of what was copied. */
  async keep(id: SnapshotId): Promise<Kept> {
    const copied = this.#beside(this.#snapshots, id, "partial");
    const skipped = await dropSpecial(copied);
    const sizeBytes = await treeBytes(copied);
    await syncTree(copied);
    await moveWhole(copied, join(this.#snapshots, id));
    return { ...skipped, sizeBytes };
  }

  async discard(id: SnapshotId): Promise<void> {
    await removeTree(this.#beside(this.#snapshots, id, "partial"));
  }

  /** Takes a snapshot out of its place. What is left of it is removed by what it returns. */
  async remove(id: SnapshotId): Promise<() => Promise<void>> {
    const removed = this.#beside(this.#snapshots, id, "removed");
    await rename(join(this.#snapshots, id), removed).catch(ignoreMissing);
    return () => removeTree(removed);
  }

  /** Makes a workspace of a snapshot beside the place where it will be. Throws ApiError `too_large`. */
  async stage(snapshot: SnapshotId, workspace: SandboxId): Promise<void> {
    const staged = this.#beside(this.#workspaces, workspace, "restored");
    await this.#ready();
    await removeTree(staged);
    await checkRoom(this.#workspaces, await treeBytes(join(this.#snapshots, snapshot)));
    await copyTree(join(this.#snapshots, snapshot), staged);
    await syncTree(staged);
  }

  /** Puts a staged workspace into its place, in which there is none. */
  async plant(workspace: SandboxId): Promise<void> {
    await moveWhole(this.#beside(this.#workspaces, workspace, "restored"), this.workspace(workspace));
  }

  /** Puts a staged workspace into the place of another one, which stays beside it. */
  async swap(workspace: SandboxId): Promise<void> {
    const place = this.workspace(workspace);
    await moveWhole(place, this.#beside(this.#workspaces, workspace, "replaced")).catch(ignoreMissing);
    await moveWhole(this.#beside(this.#workspaces, workspace, "restored"), place);
  }

  /** Removes what a swap replaced, or a staging that came to nothing left. */
  async tidy(workspace: SandboxId): Promise<void> {
    for (const stage of ["replaced", "restored"] as const)
      await removeTree(this.#beside(this.#workspaces, workspace, stage));
  }

  /**
   * Sets right what a program that was killed left: a workspace whose successor had not arrived goes back to its place,
   * and what is half made or half removed goes. Returns the snapshots that are there. To be called before anything runs.
   */
  async repair(): Promise<SnapshotId[]> {
    await this.#ready();
    for (const name of await readdir(this.#workspaces)) {
      const id = stagedId(name);
      if (id === undefined) continue;
      const isNeeded = name.endsWith(".replaced") && !(await this.hasWorkspace(id));
      if (isNeeded) await moveWhole(join(this.#workspaces, name), this.workspace(id));
    }
    for (const directory of [this.#workspaces, this.#snapshots])
      for (const name of await readdir(directory))
        if (stagedId(name) !== undefined) await removeTree(join(directory, name));
    return (await readdir(this.#snapshots)).flatMap((name) => parseSandboxId(name) ?? []);
  }

  async #ready(): Promise<void> {
    await mkdir(this.#workspaces, { recursive: true });
    await mkdir(this.#snapshots, { recursive: true, mode: 0o700 });
  }

  #beside(directory: string, id: string, stage: Stage): string {
    return join(directory, `.${id}.${stage}`);
  }
}

function stagedId(name: string): SandboxId | undefined {
  const match = /^\.([0-9A-Z]{26})\.(?:partial|restored|replaced|removed)$/.exec(name);
  return match === null ? undefined : parseSandboxId(match[1]!);
}

async function moveWhole(from: string, to: string): Promise<void> {
  await rename(from, to);
  const directory = await open(join(to, ".."));
  await directory.sync().finally(() => directory.close());
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== "ENOENT") throw error;
}
