import { randomBytes } from "node:crypto";
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

export type WriteOptions = {
  /** Permission bits, whatever the umask says. */
  readonly mode: number;
  /** Directories for the temporary file, tried in turn until one is on the file system of the path. */
  readonly stagingDirectories: readonly string[];
  /** Looks at what the temporary file holds, read back from the disk; throwing leaves the path as it is. */
  readonly verify: (content: string) => void;
};

/**
 * Makes a file hold this content: readers see the old one or the new one, whole, and so does the next boot. The
 * temporary file is outside the path's own directory, for readers that watch that one. Answers whether anything
 * changed: a file that holds it already is left untouched.
 *
 * @throws when the disk refuses, `verify` does, or no staging directory is on the path's file system.
 */
export async function writeWhole(path: string, content: string, options: WriteOptions): Promise<boolean> {
  if (await holds(path, content, options.mode)) return false;
  for (const directory of options.stagingDirectories) {
    const temporary = join(directory, `.${basename(path)}.${randomBytes(6).toString("hex")}`);
    try {
      await stage(temporary, content, options);
      await rename(temporary, path);
      await syncDirectory(dirname(path));
      return true;
    } catch (error) {
      await rm(temporary, { force: true });
      if ((error as NodeJS.ErrnoException).code !== "EXDEV") throw error;
    }
  }
  const tried = options.stagingDirectories.join(", ");
  throw new Error(`Cannot write ${path} whole: ${tried} must be on its file system, and its directory no mount point`);
}

/** Removes a file for good; one that is not there is fine. Answers whether there was one. */
export async function removeWhole(path: string): Promise<boolean> {
  try {
    await rm(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
  await syncDirectory(dirname(path));
  return true;
}

/** Removes what processes that died in `writeWhole` left in a staging directory: of these names, or all of it. */
export async function removeLeftovers(directory: string, names?: readonly string[]): Promise<void> {
  for (const entry of await readdir(directory).catch(() => [])) {
    const name = /^\.(.+)\.[0-9a-f]{12}$/.exec(entry)?.[1];
    if (name !== undefined && (names === undefined || names.includes(name)))
      await rm(join(directory, entry), { force: true });
  }
}

/** The text of a file, or undefined when there is none. */
export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

async function holds(path: string, content: string, mode: number): Promise<boolean> {
  if ((await readIfThere(path)) !== content) return false;
  return ((await stat(path)).mode & 0o777) === mode;
}

async function stage(temporary: string, content: string, { mode, verify }: WriteOptions): Promise<void> {
  await mkdir(dirname(temporary), { recursive: true });
  await using file: FileHandle = await open(temporary, "wx", mode);
  await file.chmod(mode);
  await file.writeFile(content);
  await file.sync();
  verify(await readFile(temporary, "utf8"));
}

async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(path, "r");
  await directory.sync();
}
