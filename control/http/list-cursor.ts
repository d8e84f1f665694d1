import { ApiError } from "../api-error.ts";

/** The place in the list, behind a sandbox, that the next page begins at. */
export type ListPosition = { readonly createdAt: number; readonly id: string };

export function encodeCursor({ createdAt, id }: ListPosition): string {
  return Buffer.from(`${createdAt}.${id}`).toString("base64url");
}

/** Throws ApiError `invalid_request` for what is not a cursor of ours. */
export function decodeCursor(cursor: string): ListPosition {
  const match = /^([0-9]{1,15})\.([0-9A-Z]{26})$/.exec(Buffer.from(cursor, "base64url").toString());
  if (match === null) throw new ApiError("invalid_request", "query: cursor is not one of ours");
  return { createdAt: Number(match[1]), id: match[2]! };
}
