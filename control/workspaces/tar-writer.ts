import { Readable, type Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { pack } from "tar-stream";
import { room } from "./archive-target.ts";
import type { OpenFile } from "./read-file.ts";
import type { TreeEntry } from "./tree.ts";

const zeros = Buffer.alloc(64 * 1024);
const permissions = 0o7777n;

/** Writes entries as a tar archive, and ends it. It writes no faster than it is read, and stops when the reader leaves. */
export async function writeTar(entries: AsyncIterable<TreeEntry>, target: Writable): Promise<void> {
  const tar = pack();
  const copied = copy(tar as unknown as AsyncIterable<Buffer>, target);
  // A reader who left is told by the destroyed target below.
  copied.catch(() => tar.destroy());
  for await (const entry of entries) {
    await room(target);
    const { path, stats, type } = entry;
    const common = { name: path.toString(), mode: Number(stats.mode & permissions), mtime: stats.mtime };
    if (type === "dir") tar.entry({ ...common, name: `${common.name}/`, type: "directory" });
    else if (type === "symlink") tar.entry({ ...common, type: "symlink", linkname: entry.target.toString() });
    else {
      const sink = tar.entry({ ...common, type: "file", size: entry.file.size });
      await pipeline(Readable.from(padded(entry.file)), sink as unknown as Writable);
    }
  }
  tar.finalize();
  await copied;
}

async function copy(source: AsyncIterable<Buffer>, target: Writable): Promise<void> {
  for await (const chunk of source) {
    await room(target);
    target.write(chunk);
  }
  target.end();
}

/** A file whose length was told has so many bytes in the archive, though it has become shorter: zeros stand for the rest. */
async function* padded(file: OpenFile): AsyncGenerator<Buffer> {
  let left = file.size;
  for await (const chunk of file.bytes()) {
    yield chunk;
    left -= chunk.length;
  }
  for (; left > 0; left -= Math.min(left, zeros.length)) yield zeros.subarray(0, left);
}
