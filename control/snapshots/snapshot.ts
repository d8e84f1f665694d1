import type { SandboxId } from "#contract/sandbox-id.ts";
import type { External } from "../sandboxes/sandbox.ts";

/** A ULID, as sandboxes have them. */
export type SnapshotId = SandboxId;

/** A copy of a workspace. It outlives the sandbox that it was taken of, unless that is removed with what is its own. */
export type Snapshot = {
  readonly id: SnapshotId;
  readonly sandboxId: SandboxId;
  readonly name: string | null;
  readonly cause: "operator" | "schedule";
  /** Whose the sandbox was. */
  readonly external: External;
  /** What it occupies of the disk, as if it shared nothing. */
  readonly sizeBytes: number;
  /** For how long the sandbox stood still for it. */
  readonly stoodStillMs: number;
  /** The first devices, sockets and pipes, by their paths in the workspace: no copy has them. */
  readonly skipped: readonly string[];
  readonly skippedCount: number;
  readonly createdAt: number;
};

/** A snapshot by a name, to make sandboxes of. */
export type Template = {
  readonly name: string;
  readonly snapshotId: SnapshotId;
  readonly createdAt: number;
  readonly updatedAt: number;
};
