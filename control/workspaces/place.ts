import { type BigIntStats, constants, existsSync } from "node:fs";
import { type FileHandle, lstat, open, opendir, readlink } from "node:fs/promises";

const { O_NOFOLLOW = 0, O_NONBLOCK = 0, O_DIRECTORY = 0 } = constants;
/** Linux: a descriptor that names a file without opening it, so that no pipe and no device is touched (open(2)). */
const O_PATH = 0o10000000;

/** Whether a descriptor can be named in a path. Without it every look is by name, and a race can be lost. */
export const hasDescriptorPaths = existsSync("/proc/self/fd");

/**
 * Something in a workspace, held fast: whatever is renamed, replaced or linked meanwhile, what is done by it is done to this
 * very file or directory. Nothing on the way to it was followed, and it was not opened yet. Whoever holds one
 * lets go of it after the last use, and not before: a path by a descriptor that was closed may lead anywhere.
 */
export class Place implements AsyncDisposable {
  readonly stats: BigIntStats;
  readonly #handle: FileHandle | undefined;
  readonly #path: Buffer;

  private constructor(stats: BigIntStats, path: Buffer, handle: FileHandle | undefined) {
    this.stats = stats;
    this.#handle = handle;
    this.#path = handle === undefined ? path : Buffer.from(`/proc/self/fd/${handle.fd}`);
  }

  /** The directory of this path, whose last part is no symbolic link. Throws as open(2) does. */
  static openDirectory(path: string): Promise<Place> {
    return Place.#hold(Buffer.from(path), O_DIRECTORY);
  }

  static async #hold(path: Buffer, flags = 0): Promise<Place> {
    if (!hasDescriptorPaths) {
      const stats = await lstat(path, { bigint: true });
      if (flags === O_DIRECTORY && !stats.isDirectory()) throw Object.assign(new Error("ENOTDIR"), { code: "ENOTDIR" });
      return new Place(stats, path, undefined);
    }
    const handle = await open(path, O_PATH | O_NOFOLLOW | flags);
    try {
      return new Place(await handle.stat({ bigint: true }), path, handle);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** What is here by this name, a symbolic link as itself. Throws as open(2) does. */
  enter(name: Buffer): Promise<Place> {
    return Place.#hold(this.at(name));
  }

  /** A path for a call that follows no link in its last part, such as mkdir, rename, unlink and lstat. */
  at(name: Buffer): Buffer {
    if (!isName(name)) throw new Error(`not a name: ${JSON.stringify(name.toString())}`);
    return Buffer.concat([this.#path, Buffer.from("/"), name]);
  }

  /** A path to the very thing, for calls such as chmod; never of a symbolic link. */
  get self(): Buffer {
    return this.#path;
  }

  /** What a symbolic link here says now. */
  readLink(name: Buffer): Promise<Buffer> {
    return readlink(this.at(name), { encoding: "buffer" });
  }

  look(name: Buffer): Promise<BigIntStats> {
    return lstat(this.at(name), { bigint: true });
  }

  /** Opens this regular file for reading; it never waits for another end of a pipe. Throws when it is none. */
  async openFile(): Promise<FileHandle> {
    if (!this.stats.isFile()) throw new Error("not a regular file");
    const unfollowed = hasDescriptorPaths ? 0 : O_NOFOLLOW;
    const handle = await open(this.#path, constants.O_RDONLY | O_NONBLOCK | unfollowed);
    const { ino, dev } = await handle.stat({ bigint: true });
    if (ino === this.stats.ino && dev === this.stats.dev) return handle;
    await handle.close();
    throw new Error("another file took its place");
  }

  /** The names in this directory, in any order, each as its bytes. */
  async *names(): AsyncGenerator<Buffer> {
    const directory = await opendir(this.#path, { encoding: "buffer" as BufferEncoding, bufferSize: 256 });
    for await (const { name } of directory) yield name as unknown as Buffer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle?.close();
  }
}

/** Whether this is one part of a path, and one that leads down. */
export function isName(name: Buffer): boolean {
  const text = name.toString("latin1");
  return text !== "" && text !== "." && text !== ".." && !/[/\0]/.test(text);
}
