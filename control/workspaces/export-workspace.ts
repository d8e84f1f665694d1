import { PassThrough, pipeline, type Readable } from "node:stream";
import { createZstdCompress } from "node:zlib";
import { missing } from "./failure.ts";
import { derived } from "./list-files.ts";
import { writeTar } from "./tar-writer.ts";
import { walkTree } from "./tree.ts";
import { type Parts, walk } from "./walk.ts";
import type { Workspace } from "./workspace.ts";
import { writeZip } from "./zip-writer.ts";

export type ArchiveFormat = "zip" | "tar.zst";

/**
 * A directory of a workspace as an archive, read as the archive is read. `whole` has what was installed or built in it
 * as well. A reader who leaves ends it. Throws ApiError `not_found`.
 */
export async function exportWorkspace(
  workspace: Workspace,
  parts: Parts,
  { format, whole }: { format: ArchiveFormat; whole: boolean },
): Promise<Readable> {
  const directory = await walk(workspace, parts, { follow: true });
  if (!directory.stats.isDirectory()) {
    await directory[Symbol.asyncDispose]();
    throw missing();
  }
  const entries = walkTree(directory, { skip: whole ? new Set() : derived });
  const archive = new PassThrough();
  const write = async () => {
    await using _ = directory;
    await (format === "zip" ? writeZip : writeTar)(entries, archive);
  };
  write().catch((error: Error) => archive.destroy(error));
  if (format === "zip") return archive;
  return pipeline(archive, createZstdCompress(), () => {});
}
