import type { BigIntStats } from "node:fs";
import { missing, toFailure } from "./failure.ts";
import type { Place } from "./place.ts";
import { type Parts, walk } from "./walk.ts";
import type { Workspace } from "./workspace.ts";

/** Of one answer, whatever a sandbox puts into its directories. */
export const mostEntries = 10_000;
const mostDepth = 64;
const atOnce = 64;

/** What nobody wants to see of a whole project: it was installed or built, and there is much of it. */
export const derived: ReadonlySet<string> = new Set(["node_modules", ".git", "dist", ".vite"]);

export type FileEntry = {
  /** From the directory that was listed. */
  readonly path: Buffer;
  readonly type: "file" | "dir" | "symlink" | "other";
  readonly stats: BigIntStats;
  /** What a symbolic link says. */
  readonly target: Buffer | undefined;
};

export type FileList = { readonly entries: readonly FileEntry[]; readonly truncated: boolean };

/**
 * What is in a directory, and with `recursive` what is below it but for what was installed or built; links are shown and
 * not followed. Past so many entries, or so deep, the list is cut. Throws ApiError.
 */
export async function listFiles(
  workspace: Workspace,
  parts: Parts,
  { recursive }: { recursive: boolean },
): Promise<FileList> {
  await using directory = await walk(workspace, parts, { follow: true });
  if (!directory.stats.isDirectory()) throw missing();
  const listing: Listing = { entries: [], truncated: false };
  await list(directory, Buffer.alloc(0), recursive ? mostDepth : 1, listing);
  listing.entries.sort((a, b) => Buffer.compare(a.path, b.path));
  return listing;
}

type Listing = { entries: FileEntry[]; truncated: boolean };

async function list(directory: Place, prefix: Buffer, depth: number, listing: Listing): Promise<void> {
  try {
    for await (const names of inBatches(directory.names())) {
      const wanted = names.filter((name) => depth === 1 || !derived.has(name.toString()));
      const found = await Promise.all(wanted.map((name) => look(directory, name, prefix)));
      for (const [index, entry] of found.entries()) {
        if (listing.truncated) return;
        if (entry === undefined) continue;
        listing.truncated = listing.entries.length >= mostEntries;
        if (listing.truncated) return;
        listing.entries.push(entry);
        if (entry.type === "dir" && depth > 1)
          await listBelow(directory, wanted[index]!, entry.path, depth - 1, listing);
        else if (entry.type === "dir" && prefix.length > 0) listing.truncated = true;
      }
    }
  } catch (error) {
    throw toFailure(error);
  }
}

async function* inBatches(names: AsyncIterable<Buffer>): AsyncGenerator<Buffer[]> {
  let batch: Buffer[] = [];
  for await (const name of names) {
    if (batch.push(name) < atOnce) continue;
    yield batch;
    batch = [];
  }
  yield batch;
}

async function listBelow(directory: Place, name: Buffer, path: Buffer, depth: number, listing: Listing): Promise<void> {
  // It may be another thing by now, or gone.
  const entered = await directory.enter(name).catch(() => undefined);
  if (entered === undefined) return;
  await using below = entered;
  if (below.stats.isDirectory()) await list(below, Buffer.concat([path, Buffer.from("/")]), depth, listing);
}

async function look(directory: Place, name: Buffer, prefix: Buffer): Promise<FileEntry | undefined> {
  const stats = await directory.look(name).catch(() => undefined);
  if (stats === undefined) return undefined;
  const type = typeOf(stats);
  const target = type === "symlink" ? await directory.readLink(name).catch(() => undefined) : undefined;
  return { path: Buffer.concat([prefix, name]), type, stats, target };
}

function typeOf(stats: BigIntStats): FileEntry["type"] {
  if (stats.isFile()) return "file";
  if (stats.isDirectory()) return "dir";
  return stats.isSymbolicLink() ? "symlink" : "other";
}
