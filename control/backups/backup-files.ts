import { mkdir, open, readdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { removeTree, syncTree } from "../snapshots/tree-copy.ts";
import { type Backup, decodeBackup, isBackupId } from "./backup.ts";

/** The parts of a backup's directory. */
export const databaseName = "sandboxd.db";
export const workspacesName = "workspaces";
const manifestName = "backup.json";

/**
 * Backups on the disk, `<data>/backups/<id>`: each is put together beside its place and moved there whole. Nobody but
 * control's own user may look into them.
 */
export class BackupFiles {
  readonly #directory: string;

  constructor(dataDirectory: string) {
    this.#directory = join(dataDirectory, "backups");
  }

  /** Makes the directory in which a backup is put together, and returns its path. */
  async begin(id: string): Promise<string> {
    const partial = this.#partial(id);
    await removeTree(partial);
    await mkdir(partial, { recursive: true, mode: 0o700 });
    return partial;
  }

  /** Puts a backup that is whole into its place. */
  async finish(backup: Backup): Promise<void> {
    const partial = this.#partial(backup.id);
    await writeFile(join(partial, manifestName), `${JSON.stringify(backup, null, 2)}\n`, { mode: 0o600 });
    await syncTree(partial);
    await rename(partial, join(this.#directory, backup.id));
    const directory = await open(this.#directory);
    await directory.sync().finally(() => directory.close());
  }

  /** Removes what a backup that came to nothing has left. */
  async discard(id: string): Promise<void> {
    await removeTree(this.#partial(id));
  }

  /** The newest first. What is no backup is passed over. */
  async list(): Promise<Backup[]> {
    const ids = (await this.#names()).filter(isBackupId).sort().reverse();
    const backups = await Promise.all(ids.map((id) => readBackup(join(this.#directory, id)).catch(() => undefined)));
    return backups.filter((backup) => backup !== undefined);
  }

  async remove(id: string): Promise<void> {
    const partial = this.#partial(id);
    await rename(join(this.#directory, id), partial);
    await removeTree(partial);
  }

  /** Removes what a program that was killed has left half made or half removed. */
  async repair(): Promise<void> {
    for (const name of await this.#names())
      if (name.endsWith(".partial")) await removeTree(join(this.#directory, name));
  }

  #names(): Promise<string[]> {
    return readdir(this.#directory).catch(() => []);
  }

  #partial(id: string): string {
    return join(this.#directory, `.${id}.partial`);
  }
}

/** What the backup in a directory says of itself. Throws when there is none. */
export async function readBackup(directory: string): Promise<Backup> {
  return decodeBackup(await readFile(join(directory, manifestName), "utf8"));
}
