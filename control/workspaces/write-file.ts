import { randomUUID } from "node:crypto";
import { type BigIntStats, constants } from "node:fs";
import { type FileHandle, link, open, rename, unlink } from "node:fs/promises";
import { ApiError } from "../api-error.ts";
import { toFailure } from "./failure.ts";
import { type Conditions, checkConditions, etagOf } from "./file-version.ts";
import type { Place } from "./place.ts";
import { type Parts, walkToParent } from "./walk.ts";
import type { Workspace } from "./workspace.ts";

export const mostFileBytes = 25 * 1024 * 1024;
/** What control puts together beside its place is called so. */
export const unfinishedPrefix = ".sandboxd-";
const defaultMode = 0o644;
const permissions = 0o777n;

export type WriteOptions = {
  readonly conditions: Conditions;
  /** Runs what checks and replaces, alone among the callers who change this workspace. */
  readonly alone: <T>(change: () => Promise<T>) => Promise<T>;
};

export type Written = { readonly size: number; readonly etag: string };

/**
 * Puts a file in place of what is there, whole or not at all: it is written beside it, and on the disk before it takes the
 * name. Directories that are missing are made; the mode of a file that is there is kept. A link in its place is refused.
 * Throws ApiError.
 */
export async function writeFile(
  workspace: Workspace,
  parts: Parts,
  content: AsyncIterable<Buffer>,
  { conditions, alone }: WriteOptions,
): Promise<Written> {
  const parent = await walkToParent(workspace, parts, { create: true });
  await using directory = parent.directory;
  const { name } = parent;
  const unfinished = Buffer.from(`${unfinishedPrefix}${randomUUID()}`);
  try {
    await using file = await open(directory.at(unfinished), createFlags, 0o600);
    const size = await copy(content, file);
    await giveToOwner(workspace, file);
    const etag = await alone(async () => {
      const present = await presentAt(directory, name);
      checkConditions(present, conditions);
      await file.chmod(present === undefined ? defaultMode : Number(present.mode & permissions));
      await file.sync();
      if (conditions.ifNoneMatch === undefined) await rename(directory.at(unfinished), directory.at(name));
      else await putNew(directory, unfinished, name);
      await syncDirectory(directory);
      return etagOf(await file.stat({ bigint: true }));
    });
    return { size, etag };
  } catch (error) {
    throw toFailure(error);
  } finally {
    await unlink(directory.at(unfinished)).catch(() => {});
  }
}

const createFlags = constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY | (constants.O_NOFOLLOW ?? 0);

async function copy(content: AsyncIterable<Buffer>, file: FileHandle): Promise<number> {
  let size = 0;
  for await (const chunk of content) {
    size += chunk.length;
    if (size > mostFileBytes) throw tooLarge();
    await file.writeFile(chunk);
  }
  return size;
}

export function tooLarge(): ApiError {
  return new ApiError("too_large", "A file has at most 25 MiB");
}

async function presentAt(directory: Place, name: Buffer): Promise<BigIntStats | undefined> {
  const present = await directory.look(name).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (present?.isSymbolicLink()) throw new ApiError("invalid_request", "path: a symbolic link is not overwritten");
  if (present?.isDirectory()) throw new ApiError("conflict", "A directory is there");
  return present;
}

/** Takes a name only if nobody has it, the sandbox included. */
async function putNew(directory: Place, unfinished: Buffer, name: Buffer): Promise<void> {
  await link(directory.at(unfinished), directory.at(name)).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== "EEXIST") throw cause;
    throw new ApiError("precondition_failed", "There is a file that If-None-Match excludes", { cause });
  });
  await unlink(directory.at(unfinished));
}

async function giveToOwner(workspace: Workspace, file: FileHandle): Promise<void> {
  if (process.getuid?.() !== 0) return;
  await using root = await workspace.open();
  await file.chown(Number(root.stats.uid), Number(root.stats.gid));
}

async function syncDirectory(directory: Place): Promise<void> {
  await using opened = await open(directory.self, constants.O_RDONLY | (constants.O_DIRECTORY ?? 0));
  await opened.sync();
}
