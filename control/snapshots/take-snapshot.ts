import { ulid } from "ulid";
import { parseSandboxId, type SandboxId } from "#contract/sandbox-id.ts";
import { ApiError, notFound } from "../api-error.ts";
import type { Collaborators } from "../sandboxes/collaborators.ts";
import { expiredSnapshots } from "./retention.ts";
import type { Snapshot } from "./snapshot.ts";
import { retentionFor } from "./snapshot-policy.ts";
import { standingStill } from "./standing-still.ts";
import { TreeError } from "./tree-copy.ts";

export type SnapshotRequest = Pick<Snapshot, "name" | "cause">;

/**
 * Takes a snapshot of a sandbox's workspace, as it is at one moment, and lets go of those that it takes the place of. Throws
 * ApiError `not_found`, `conflict` and `too_large`.
 */
export function takeSnapshot(use: Collaborators, id: SandboxId, request: SnapshotRequest): Promise<Snapshot> {
  const { snapshots, records, logger } = use;
  if (records.get(id) === undefined) throw notFound();
  return snapshots.copying(async () => {
    const snapshotId = parseSandboxId(ulid())!;
    const { files } = snapshots;
    try {
      if (!(await files.hasWorkspace(id))) throw new ApiError("conflict", "The sandbox has no workspace yet");
      await files.checkRoomFor(id);
      const { stoodStillMs } = await standingStill(use, id, () => files.copy(id, snapshotId));
      const kept = await files.keep(snapshotId);
      const sandbox = records.get(id);
      if (sandbox === undefined) {
        await (await files.remove(snapshotId))();
        throw notFound();
      }
      const taken = { ...request, ...kept, id: snapshotId, sandboxId: id, external: sandbox.external, stoodStillMs };
      const snapshot = { ...taken, createdAt: use.now() };
      snapshots.store.insert(snapshot);
      records.note(id, { kind: "change", cause: "snapshot", outcome: snapshotId, durationMs: stoodStillMs });
      logger.info({ sandbox: id, snapshot: snapshotId, stoodStillMs, bytes: kept.sizeBytes }, "a snapshot was taken");
      await applyRetention(use, id);
      return snapshot;
    } catch (error) {
      await files.discard(snapshotId);
      throw error instanceof TreeError ? new ApiError("conflict", `It cannot be copied: ${error.message}`) : error;
    }
  });
}

/** Lets go of what is too much or too old of one sandbox. To be called while no other tree is copied. */
async function applyRetention({ snapshots, records, settings, now }: Collaborators, id: SandboxId): Promise<void> {
  const retention = retentionFor(records.get(id)?.snapshots ?? null, settings.snapshotRetention);
  const unnamed = snapshots.store.ofSandbox(id).filter(({ id }) => snapshots.store.templates(id).length === 0);
  for (const { id } of expiredSnapshots(unnamed, retention, now())) await snapshots.drop(id);
}

/** As above for all sandboxes: age alone makes snapshots too old. */
export async function expireSnapshots(use: Collaborators): Promise<void> {
  const sandboxes = new Set(use.snapshots.store.list({ limit: everyOne }).map(({ sandboxId }) => sandboxId));
  for (const id of sandboxes) await use.snapshots.copying(() => applyRetention(use, id));
}

const everyOne = 2 ** 31 - 1;
