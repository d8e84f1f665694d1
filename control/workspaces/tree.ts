import type { BigIntStats } from "node:fs";
import type { Place } from "./place.ts";
import { OpenFile } from "./read-file.ts";

/** Each level down holds a descriptor. */
const mostDepth = 256;

/** Something below a directory. Pipes, sockets and devices are passed over: nothing is in them to keep. */
export type TreeEntry = {
  /** From the directory where the walk began. */
  readonly path: Buffer;
  readonly stats: BigIntStats;
} & (
  | { readonly type: "dir" }
  | { readonly type: "symlink"; readonly target: Buffer }
  /** Open, and closed when the next entry is asked for. */
  | { readonly type: "file"; readonly file: OpenFile }
);

/**
 * All that is below a directory, each directory before what is in it. Links are told and never followed; what vanishes or
 * changes its kind under way is passed over, as are directories of the names in `skip` and what is too deep.
 */
export async function* walkTree(
  directory: Place,
  { skip }: { skip: ReadonlySet<string> },
  { prefix = Buffer.alloc(0), depth = mostDepth }: { prefix?: Buffer; depth?: number } = {},
): AsyncGenerator<TreeEntry> {
  for await (const name of directory.names()) {
    if (skip.has(name.toString())) continue;
    const entered = await directory.enter(name).catch(() => undefined);
    if (entered === undefined) continue;
    await using place = entered;
    const { stats } = place;
    const path = Buffer.concat([prefix, name]);
    if (stats.isDirectory()) {
      yield { type: "dir", path, stats };
      const below = { prefix: Buffer.concat([path, Buffer.from("/")]), depth: depth - 1 };
      if (depth > 1) yield* walkTree(place, { skip }, below);
    } else if (stats.isSymbolicLink()) {
      const target = await directory.readLink(name).catch(() => undefined);
      if (target !== undefined) yield { type: "symlink", path, stats, target };
    } else if (stats.isFile()) {
      const handle = await place.openFile().catch(() => undefined);
      if (handle === undefined) continue;
      await using file = new OpenFile(handle, await handle.stat({ bigint: true }));
      yield { type: "file", path, stats: file.stats, file };
    }
  }
}
