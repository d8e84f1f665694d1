import { randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { lchown, link, open, rename, symlink, unlink } from "node:fs/promises";
import { ApiError } from "../api-error.ts";
import { type ArchiveEntry, entryParts, refused } from "./archive-entry.ts";
import { makeDirectory } from "./move-file.ts";
import type { Place } from "./place.ts";
import { type Parts, split, walkToParent } from "./walk.ts";
import type { Workspace } from "./workspace.ts";
import { unfinishedPrefix } from "./write-file.ts";

export const mostUnpackedBytes = 10 * 2 ** 30;
export const mostUnpackedEntries = 500_000;
const permissions = 0o777;
const ownerMayWrite = 0o600;

export type Unpacked = { readonly entries: number; readonly bytes: number };

/**
 * Puts entries of an archive into a directory of a workspace, each file whole or not at all, over what is there. Nothing is
 * put outside and nothing is made that leads there. What came before an entry that is refused stays. Throws ApiError.
 */
export class Unpacker implements AsyncDisposable {
  readonly #workspace: Workspace;
  readonly #base: Parts;
  readonly #owner: { readonly uid: number; readonly gid: number };
  /** The directory of the last entry: most have it in common with the next. */
  #last: { readonly key: string; readonly directory: Place } | undefined;
  #entries = 0;
  #bytes = 0;

  private constructor(workspace: Workspace, base: Parts, owner: { uid: number; gid: number }) {
    this.#workspace = workspace;
    this.#base = base;
    this.#owner = owner;
  }

  static async into(workspace: Workspace, base: Parts): Promise<Unpacker> {
    await using root = await workspace.open();
    return new Unpacker(workspace, base, { uid: Number(root.stats.uid), gid: Number(root.stats.gid) });
  }

  get unpacked(): Unpacked {
    return { entries: this.#entries, bytes: this.#bytes };
  }

  async put(entry: ArchiveEntry): Promise<void> {
    const parts = entryParts(entry.name);
    if (++this.#entries > mostUnpackedEntries) {
      throw new ApiError("too_large", `An archive has at most ${mostUnpackedEntries} entries`);
    }
    // The directory itself.
    if (parts.length === 0) return;
    switch (entry.type) {
      case "dir":
        await makeDirectory(this.#workspace, [...this.#base, ...parts]);
        return;
      case "file":
        return this.#replace(parts, (directory, unfinished) => this.#write(directory, unfinished, entry));
      case "symlink":
        this.#checkTarget(parts, entry);
        return this.#replace(parts, async (directory, unfinished) => {
          await symlink(entry.target, directory.at(unfinished));
          if (process.getuid?.() === 0) await lchown(directory.at(unfinished), this.#owner.uid, this.#owner.gid);
        });
      case "link":
        return this.#replace(parts, (directory, unfinished) => this.#link(directory, unfinished, entry));
      default: {
        const never: never = entry;
        throw new Error(`unknown entry: ${JSON.stringify(never)}`);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#last?.directory[Symbol.asyncDispose]();
    this.#last = undefined;
  }

  async #replace(parts: Parts, make: (directory: Place, unfinished: Buffer) => Promise<void>): Promise<void> {
    const directory = await this.#directoryOf(parts);
    const unfinished = Buffer.from(`${unfinishedPrefix}${randomUUID()}`);
    try {
      await make(directory, unfinished);
      await rename(directory.at(unfinished), directory.at(parts.at(-1)!));
    } catch (error) {
      await unlink(directory.at(unfinished)).catch(() => {});
      throw error;
    }
  }

  async #directoryOf(parts: Parts): Promise<Place> {
    const key = Buffer.concat(parts.slice(0, -1).flatMap((part) => [part, Buffer.from("/")])).toString("latin1");
    if (this.#last?.key === key) return this.#last.directory;
    const { directory } = await walkToParent(this.#workspace, [...this.#base, ...parts], { create: true });
    await this[Symbol.asyncDispose]();
    this.#last = { key, directory };
    return directory;
  }

  async #write(
    directory: Place,
    unfinished: Buffer,
    { content, mode, mtime }: Extract<ArchiveEntry, { type: "file" }>,
  ): Promise<void> {
    await using file = await open(directory.at(unfinished), createFlags, 0o600);
    for await (const chunk of content) {
      this.#bytes += chunk.length;
      if (this.#bytes > mostUnpackedBytes) throw new ApiError("too_large", "An archive unpacks to at most 10 GiB");
      await file.writeFile(chunk);
    }
    if (process.getuid?.() === 0) await file.chown(this.#owner.uid, this.#owner.gid);
    await file.chmod((mode & permissions) | ownerMayWrite);
    await file.utimes(mtime, mtime);
  }

  /** A link that leads outside would lead whoever copies the workspace there. */
  #checkTarget(parts: Parts, { name, target }: { readonly name: string; readonly target: string }): void {
    const isAbsolute = target.startsWith("/");
    const below = isAbsolute ? this.#workspace.belowRoot(Buffer.from(target)) : Buffer.from(target);
    if (target === "" || target.includes("\0") || below === undefined)
      throw refused(name, "is a link that leads outside");
    let depth = isAbsolute ? 0 : this.#base.length + parts.length - 1;
    for (const part of split(below)) {
      if (part.equals(Buffer.from(".."))) depth--;
      else if (!part.equals(Buffer.from("."))) depth++;
      if (depth < 0) throw refused(name, "is a link that leads outside");
    }
  }

  /** Another name for a regular file of this workspace; the file itself is not touched. */
  async #link(directory: Place, unfinished: Buffer, { name, target }: Extract<ArchiveEntry, { type: "link" }>) {
    const source = await walkToParent(this.#workspace, [...this.#base, ...entryParts(target)]);
    await using from = source.directory;
    if (!(await from.look(source.name)).isFile()) throw refused(name, "is a link to what is no file");
    await link(from.at(source.name), directory.at(unfinished));
  }
}

const createFlags = constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY | (constants.O_NOFOLLOW ?? 0);
