import type { BigIntStats } from "node:fs";
import { ApiError } from "../api-error.ts";

/** What a caller demands of the version that is there (RFC 9110 §13.1); undefined: nothing. */
export type Conditions = { readonly ifMatch?: string | undefined; readonly ifNoneMatch?: string | undefined };

/**
 * A strong validator of a file's content. Control replaces files and never writes into one, so each write of its own has
 * a new one; a write by the sandbox is told by its time.
 */
export function etagOf({ ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return `"${[ino, size, mtimeNs, ctimeNs].map((number) => number.toString(36)).join("-")}"`;
}

/** Throws ApiError `precondition_failed` when what is there is not what the caller expects. */
export function checkConditions(present: BigIntStats | undefined, { ifMatch, ifNoneMatch }: Conditions): void {
  const etag = present === undefined ? undefined : etagOf(present);
  if (ifMatch !== undefined && !matches(ifMatch, etag, { weakly: false }))
    throw new ApiError("precondition_failed", "The file is not the one that If-Match names");
  if (ifNoneMatch !== undefined && matches(ifNoneMatch, etag, { weakly: true }))
    throw new ApiError("precondition_failed", "There is a file that If-None-Match excludes");
}

/** Whether a list of validators, or `*`, is met. A weak one matches nothing where the bytes have to be the same. */
export function matches(list: string, etag: string | undefined, { weakly }: { weakly: boolean }): boolean {
  if (etag === undefined) return false;
  if (list.trim() === "*") return true;
  return list
    .split(",")
    .map((each) => each.trim())
    .some((each) => each === etag || (weakly && each === `W/${etag}`));
}
