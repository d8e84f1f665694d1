import { once } from "node:events";
import { Readable, type Writable } from "node:stream";
import { finished } from "node:stream/promises";
import { ZipFile } from "yazl";
import { room } from "./archive-target.ts";
import type { TreeEntry } from "./tree.ts";

/** What the archive says of each entry at its end is kept until then. */
const mostEntries = 500_000;
/** From this size on an entry is written in the 64-bit form: its length may grow past 4 GiB while it is packed. */
const zip64Bytes = 2 ** 31;

/** Writes entries as a zip archive, and ends it. It writes no faster than it is read, and stops when the reader leaves. */
export async function writeZip(entries: AsyncIterable<TreeEntry>, target: Writable): Promise<void> {
  const zip = new ZipFile();
  zip.on("error", (error: Error) => target.destroy(error));
  zip.outputStream.pipe(target);
  let count = 0;
  for await (const entry of entries) {
    await room(target);
    if (++count > mostEntries)
      throw new Error(`a zip archive of ours has at most ${mostEntries} entries; take tar.zst`);
    const options = { mode: Number(entry.stats.mode), mtime: entry.stats.mtime };
    const name = toZipName(entry.path);
    if (entry.type === "dir") zip.addEmptyDirectory(name, options);
    else if (entry.type === "symlink") zip.addBuffer(entry.target, name, { ...options, compress: false });
    else await addFile(zip, name, entry, options, target);
  }
  zip.end();
  await finished(target);
}

async function addFile(
  zip: ZipFile,
  name: string,
  { file }: Extract<TreeEntry, { type: "file" }>,
  options: { mode: number; mtime: Date },
  target: Writable,
): Promise<void> {
  const content = Readable.from(file.bytes(), { objectMode: false });
  const leave = () => content.destroy();
  target.once("close", leave);
  zip.addReadStream(content, name, { ...options, forceZip64Format: file.size >= zip64Bytes });
  await once(content, "close");
  target.off("close", leave);
}

/** A backslash separates names in the eyes of others, and a letter with a colon begins a path of theirs. */
function toZipName(path: Buffer): string {
  return path
    .toString()
    .replaceAll("\\", "_")
    .replace(/^([a-z]):/i, "$1_");
}
