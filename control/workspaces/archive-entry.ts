import { ApiError } from "../api-error.ts";
import { type Parts, split } from "./walk.ts";

/** What an archive says, of whoever made it. */
export type ArchiveEntry = {
  readonly name: string;
  readonly mode: number;
  readonly mtime: Date;
} & (
  | { readonly type: "dir" }
  | { readonly type: "file"; readonly content: AsyncIterable<Buffer> }
  | { readonly type: "symlink"; readonly target: string }
  /** Another name of a file that came before it. */
  | { readonly type: "link"; readonly target: string }
);

/** The parts of a name in an archive. Throws ApiError `invalid_request` for one that leads out of where it is unpacked. */
export function entryParts(name: string): Parts {
  const parts = split(Buffer.from(name)).filter((part) => !part.equals(Buffer.from(".")));
  if (name.startsWith("/") || name.includes("\0") || parts.some((part) => part.equals(Buffer.from("..")))) {
    throw refused(name, "leads out of the directory");
  }
  return parts;
}

export function refused(name: string, why: string): ApiError {
  return new ApiError("invalid_request", `archive: ${JSON.stringify(name.slice(0, 200))} ${why}`);
}
