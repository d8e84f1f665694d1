import { ApiError } from "../api-error.ts";
import { toFailure } from "./failure.ts";
import { readArchive } from "./read-archive.ts";
import { type Unpacked, Unpacker } from "./unpack.ts";
import type { Parts } from "./walk.ts";
import type { Workspace } from "./workspace.ts";

/** Unpacks an archive as it comes into a directory of a workspace. Throws ApiError; what was unpacked before that stays. */
export async function importArchive(
  workspace: Workspace,
  parts: Parts,
  source: AsyncIterable<Buffer>,
  { spool }: { spool: string },
): Promise<Unpacked> {
  await using unpacker = await Unpacker.into(workspace, parts);
  try {
    for await (const entry of readArchive(source, spool)) await unpacker.put(entry);
  } catch (error) {
    const failure = toFailure(error);
    if (failure instanceof ApiError) throw failure;
    // Whatever else went wrong is in what was sent: broken, cut off, or no archive at all.
    throw new ApiError("invalid_request", `archive: ${(error as Error).message}`, { cause: error });
  }
  return unpacker.unpacked;
}
