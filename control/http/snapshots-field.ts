import { ApiError } from "../api-error.ts";
import { type SnapshotPolicy, snapshotPolicyProblem } from "../snapshots/snapshot-policy.ts";
import type { PatchBody, Resource } from "./schemas.ts";

/** A sandbox's snapshot policy after a merge patch of it. Throws ApiError `invalid_request` for one that cannot be followed. */
export function fromWireSnapshots(
  patch: PatchBody["snapshots"],
  current: SnapshotPolicy | null,
): SnapshotPolicy | null {
  if (patch === null || patch === undefined) return null;
  const { timezone, at, keep, keep_days: keepDays } = { ...toWireSnapshots(current), ...patch };
  const policy = { timezone: timezone ?? "UTC", at: at ?? [], keep: keep ?? null, keepDays: keepDays ?? null };
  const problem = snapshotPolicyProblem(policy);
  if (problem !== undefined) throw new ApiError("invalid_request", `body: snapshots: ${problem}`);
  return policy;
}

export function toWireSnapshots(policy: SnapshotPolicy | null): Resource["snapshots"] {
  if (policy === null) return null;
  const { timezone, at, keep, keepDays } = policy;
  return { timezone, at: [...at], keep, keep_days: keepDays };
}
