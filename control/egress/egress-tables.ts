import { createHash } from "node:crypto";
import { seenSet } from "./egress-rules.ts";
import { type Counts, type Reason, reasons } from "./forbidden.ts";
import type { NftObject } from "./nft.ts";

/** What the kernel holds of our tables, read back. */
export type EgressTables = {
  /** Equal for tables that do the same: chains, rules and fixed sets, without counts and what changes by itself. */
  readonly fingerprint: string;
  /** Packets, since the tables are there. */
  readonly total: Counts;
  /** The same by the address that they came from. */
  readonly bySource: ReadonlyMap<string, Counts>;
};

export const nothingCounted: Counts = Object.freeze(
  Object.fromEntries(reasons.map((reason) => [reason, 0])) as Record<Reason, number>,
);

/** Reads the listings of both tables. */
export function readTables(listings: readonly (readonly NftObject[])[]): EgressTables {
  const objects = listings.flat();
  return { fingerprint: fingerprintOf(objects), total: totalOf(objects), bySource: bySourceOf(objects) };
}

/** What was counted between two looks. Tables that were made anew meanwhile begin at zero. */
export function since(before: Counts, after: Counts): Counts {
  const more = (reason: Reason) => (after[reason] < before[reason] ? after[reason] : after[reason] - before[reason]);
  return Object.fromEntries(reasons.map((reason) => [reason, more(reason)])) as Counts;
}

export function plus(left: Counts, right: Counts): Counts {
  return Object.fromEntries(reasons.map((reason) => [reason, left[reason] + right[reason]])) as Counts;
}

function fingerprintOf(objects: readonly NftObject[]): string {
  const lasting = objects.flatMap(({ chain, rule, set }) => {
    if (chain !== undefined) return [{ ...chain, handle: 0 }];
    if (rule !== undefined) return [{ ...rule, handle: 0 }];
    if (set !== undefined && !/^(?:seen_|allowed|open)/.test(String(set.name))) return [{ ...set, handle: 0 }];
    return [];
  });
  return createHash("sha256").update(JSON.stringify(lasting)).digest("hex");
}

function totalOf(objects: readonly NftObject[]): Counts {
  const total: Record<Reason, number> = { ...nothingCounted };
  for (const { counter } of objects) {
    const reason = counter?.name as Reason;
    if (reason in total) total[reason] += Number(counter?.packets);
  }
  return total;
}

type SeenElement = { readonly elem: { readonly val: string; readonly counter?: { readonly packets: number } } };

function bySourceOf(objects: readonly NftObject[]): ReadonlyMap<string, Counts> {
  const seen = new Map(
    reasons.flatMap((reason) => ([4, 6] as const).map((family) => [seenSet(reason, family), reason])),
  );
  const counts = new Map<string, Record<Reason, number>>();
  for (const { set } of objects) {
    const reason = seen.get(String(set?.name));
    if (reason === undefined) continue;
    for (const { elem } of (set?.elem ?? []) as readonly SeenElement[]) {
      const of = counts.get(elem.val) ?? { ...nothingCounted };
      of[reason] += elem.counter?.packets ?? 0;
      counts.set(elem.val, of);
    }
  }
  return counts;
}
