import type { Logger } from "pino";
import type { SandboxId } from "#contract/sandbox-id.ts";
import { ApiError, notFound } from "../api-error.ts";
import { KeyedLock } from "../sandboxes/keyed-lock.ts";
import type { External } from "../sandboxes/sandbox.ts";
import type { SnapshotStore } from "../sqlite/snapshot-store.ts";
import type { Snapshot, SnapshotId } from "./snapshot.ts";
import type { SnapshotFiles } from "./snapshot-files.ts";
import { treeBytes } from "./tree-copy.ts";

/** Snapshots as rows and as directories, which come and go together. */
export class Snapshots {
  readonly store: SnapshotStore;
  readonly files: SnapshotFiles;
  readonly #logger: Logger;
  readonly #copying = new KeyedLock<"copy">();

  constructor(store: SnapshotStore, files: SnapshotFiles, logger: Logger) {
    this.store = store;
    this.files = files;
    this.#logger = logger;
  }

  /**
   * Does what reads or writes whole trees, one after the other: more at once take no less time of the disk, and each would
   * have its sandbox stand still for longer. To be called before the sandbox's lock is held.
   */
  copying<T>(work: () => Promise<T>): Promise<T> {
    return this.#copying.run("copy", work);
  }

  /** Throws ApiError `not_found`. */
  find(id: SnapshotId | undefined): Snapshot {
    const snapshot = id === undefined ? undefined : this.store.get(id);
    if (snapshot === undefined) throw notFound("There is no such snapshot");
    return snapshot;
  }

  /**
   * A snapshot for somebody: it is its owner's alone, unless a template makes it everybody's. Throws ApiError `not_found`
   * and `workspace_owner_mismatch`.
   */
  findFor({ userId }: External, id: SnapshotId | undefined): Snapshot {
    const snapshot = this.find(id);
    if (snapshot.external.userId === userId || this.store.templates(snapshot.id).length > 0) return snapshot;
    throw new ApiError("workspace_owner_mismatch", "The snapshot belongs to another external user");
  }

  /** Removes a snapshot. Throws ApiError `not_found`, and `conflict` for what a template names. */
  async remove(id: SnapshotId): Promise<void> {
    await this.copying(async () => {
      const { id: found } = this.find(id);
      const [template] = this.store.templates(found);
      if (template !== undefined) throw new ApiError("conflict", `The template ${template.name} is this snapshot`);
      await this.drop(found);
    });
  }

  /** What a sandbox's workspace and the snapshots that go with it occupy. */
  async bytesOf(sandboxId: SandboxId): Promise<number> {
    const own = this.store.ofSandbox(sandboxId).filter(({ id }) => this.store.templates(id).length === 0);
    const workspace = await treeBytes(this.files.workspace(sandboxId));
    return own.reduce((sum, { sizeBytes }) => sum + sizeBytes, workspace);
  }

  /** Removes the snapshots of a sandbox but those that a template names. */
  async removeOf(sandboxId: SandboxId): Promise<void> {
    for (const { id } of this.store.ofSandbox(sandboxId))
      if (this.store.templates(id).length === 0) await this.drop(id);
  }

  /** Removes snapshots with the templates that name them. */
  async removeAll(ids: readonly SnapshotId[]): Promise<void> {
    await this.copying(async () => {
      for (const id of ids) await this.drop(id);
    });
  }

  /** After a start: what has a row has its directory, and the other way round. */
  async repair(): Promise<void> {
    const there = new Set(await this.files.repair());
    for (const id of this.store.ids()) {
      if (there.delete(id)) continue;
      this.store.delete(id);
      this.#logger.error({ snapshot: id }, "a snapshot is not on the disk any more");
    }
    for (const id of there) await (await this.files.remove(id))();
  }

  /** Removes one, whoever names it. To be called while no other tree is copied. */
  async drop(id: SnapshotId): Promise<void> {
    const finish = await this.files.remove(id);
    this.store.delete(id);
    await finish();
  }
}
