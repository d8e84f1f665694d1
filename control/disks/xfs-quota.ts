import { createHash, randomUUID } from "node:crypto";
import { lchown, lstat, lutimes, mkdir, readlink, rename, symlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { removeTree } from "../snapshots/tree-copy.ts";
import { type DiskQuota, DiskQuotaError, type DiskUse } from "./disk-quota.ts";
import type { Tool } from "./tool.ts";

/** Inodes are on nobody's account, so their number is limited: one for so many bytes, as `loop` has them. */
const bytesPerFile = 8192;

/** Workspaces are projects of an XFS with project quotas. A sandbox over its limit sees ENOSPC. */
export class XfsQuota implements DiskQuota {
  readonly driver = "xfs";
  readonly detail = "a project for each workspace, with a limit";
  readonly #workspaces: string;
  readonly #mount: string;
  readonly #tool: Tool;

  constructor({ workspaces, mount, tool }: { workspaces: string; mount: string; tool: Tool }) {
    this.#workspaces = workspaces;
    this.#mount = mount;
    this.#tool = tool;
  }

  async open(): Promise<void> {}

  async prepare(directory: string): Promise<void> {
    await mkdir(directory, { recursive: true });
  }

  async place(id: string, directory: string, bytes: number | null): Promise<void> {
    await this.#enter(id, directory);
    if (bytes !== null) {
      const used = (await this.use(id))?.used ?? 0;
      if (used > bytes) throw new DiskQuotaError(`The workspace of ${used} bytes gets no disk of ${bytes} bytes`);
      await this.#setLimit(id, bytes);
    }
    await rename(directory, join(this.#workspaces, id));
  }

  async attach(): Promise<void> {}

  /** What a running sandbox changes meanwhile cannot be walked through by its paths. */
  async limit(id: string, bytes: number | null, sandbox: "at rest" | "running"): Promise<boolean> {
    const place = join(this.#workspaces, id);
    if (bytes !== null && sandbox === "at rest") await this.#enter(id, place);
    else if (bytes !== null && !(await this.#isEntered(id, place))) return false;
    await this.#setLimit(id, bytes);
    return true;
  }

  async replace(id: string, swap: () => Promise<void>): Promise<void> {
    await swap();
    await this.#setLimit(id, null);
  }

  async use(id: string): Promise<DiskUse | null> {
    const said = await this.#command(`quota -p -N -b -i ${projectOf(id)}`);
    // Device, used, soft, hard, in KiB, and then the same of files. Nothing where all of them are 0.
    const [, used, hard] = /^\S+\s+(\d+)\s+\d+\s+(\d+)/m.exec(said) ?? [];
    if (used === undefined) return null;
    return { used: Number(used) * 1024, limit: Number(hard) === 0 ? null : Number(hard) * 1024 };
  }

  async remove(id: string): Promise<void> {
    await removeTree(join(this.#workspaces, id));
    await this.#setLimit(id, null);
  }

  /** What is made in it later belongs to the project as well. What the sandbox took out of it is brought back. */
  async #enter(id: string, directory: string): Promise<void> {
    const wasEntered = await this.#isEntered(id, directory);
    const said = await this.#command(`project -s -p ${directory} ${projectOf(id)}`);
    // It ends with 0 where it did nothing, as it does for a path with a space in it.
    if (!/^Processed 1 /m.test(said)) throw new Error(`xfs_quota cannot set up ${directory}`);
    if (!wasEntered) await this.#enterLinks(directory);
  }

  /**
   * Makes symbolic links anew, in the project. xfs_quota leaves them out, and within a project the system renames and
   * links only what belongs to it (EXDEV).
   */
  async #enterLinks(directory: string): Promise<void> {
    const found = await this.#tool("find", directory, "-xdev", "-type", "l", "-print0");
    for (const path of found.split("\0").filter((each) => each !== "")) {
      const { uid, gid, atime, mtime } = await lstat(path);
      const fresh = join(dirname(path), `.link-${randomUUID()}`);
      await symlink(await readlink(path), fresh);
      await lchown(fresh, uid, gid);
      await lutimes(fresh, atime, mtime);
      await rename(fresh, path);
    }
  }

  async #isEntered(id: string, directory: string): Promise<boolean> {
    const said = await this.#tool("xfs_io", "-r", "-c", "stat", directory);
    return /^fsxattr\.projid = (\d+)$/m.exec(said)?.[1] === String(projectOf(id));
  }

  async #setLimit(id: string, bytes: number | null): Promise<void> {
    const files = Math.ceil((bytes ?? 0) / bytesPerFile);
    await this.#command(`limit -p bhard=${bytes ?? 0} ihard=${files} ${projectOf(id)}`);
  }

  #command(command: string): Promise<string> {
    return this.#tool("xfs_quota", "-x", "-c", command, this.#mount);
  }
}

/** Of 31 bits; the lowest are left to the administrator's own. */
export function projectOf(id: string): number {
  const hash = createHash("sha256").update(id).digest().readUInt32BE();
  return (hash & 0x3fff_ffff) | 0x4000_0000;
}
