import type { Snapshot } from "./snapshot.ts";

/** What is kept of a sandbox's snapshots; null: without that bound. */
export type Retention = { readonly keep: number | null; readonly keepDays: number | null };

const dayMs = 24 * 60 * 60_000;

/**
 * Which snapshots of one sandbox go, of those that no template names: what is older than the age, and of the rest the oldest
 * past the number. The newest one stays, however old it is.
 */
export function expiredSnapshots(
  snapshots: readonly Snapshot[],
  { keep, keepDays }: Retention,
  now: number,
): readonly Snapshot[] {
  const newestFirst = snapshots.toSorted((a, b) => b.createdAt - a.createdAt || (a.id < b.id ? 1 : -1));
  return newestFirst.filter(({ createdAt }, index) => {
    if (index === 0) return false;
    if (keep !== null && index >= keep) return true;
    return keepDays !== null && now - createdAt > keepDays * dayMs;
  });
}
