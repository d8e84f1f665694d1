import { randomUUID } from "node:crypto";
import { chmod, mkdir, readdir, rename, rm, rmdir, stat, statfs, truncate } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import { removeTree } from "../snapshots/tree-copy.ts";
import { type DiskQuota, DiskQuotaError, type DiskUse } from "./disk-quota.ts";
import { mountOf, readMounts } from "./mounts.ts";
import { finishReplacing, isThere, moveAside, namesIn } from "./replaced.ts";
import type { Tool } from "./tool.ts";

export type LoopQuotaOptions = {
  readonly workspaces: string;
  /** Holds the images, on a disk of this machine. */
  readonly images: string;
  /** Whom the root of a workspace belongs to. */
  readonly owner: number;
  readonly tool: Tool;
  readonly logger: Logger;
};

const mib = 2 ** 20;
/** A file system for source code: many small files, a small journal, nothing kept back for root. */
const format = (bytes: number) => ["-q", "-F", "-m", "0", "-i", "8192", "-J", `size=${bytes < 64 * mib ? 1 : 4}`];
/** What is deleted goes back to the disk. */
const mountOptions = "loop,nosuid,nodev,noatime,discard";
const workspaceMode = 0o750;
const releaseMs = 2_000;

/**
 * Workspaces with a limit are ext4 file systems in sparse files, `<images>/<id>.img`, mounted in their place; those without
 * one are plain directories. A sandbox cannot leave its file system, but all of them together may promise more than the
 * disk has.
 */
export class LoopQuota implements DiskQuota {
  readonly driver = "loop";
  readonly detail = "ext4 in a file for each workspace that has a limit";
  readonly #options: LoopQuotaOptions;

  constructor(options: LoopQuotaOptions) {
    this.#options = options;
  }

  async open(): Promise<void> {
    const { workspaces, images, logger } = this.#options;
    await mkdir(images, { recursive: true, mode: 0o700 });
    for (const name of await readdir(images)) {
      if (name.startsWith(".")) await rm(join(images, name), { force: true });
    }
    await finishReplacing(workspaces, (id) => isThere(this.#image(id)));
    for (const name of await readdir(images)) {
      const id = name.replace(/\.img$/, "");
      await this.attach(id).catch((error) =>
        logger.error({ err: error, sandbox: id }, "a workspace cannot be mounted"),
      );
    }
  }

  async prepare(directory: string): Promise<void> {
    await mkdir(directory, { recursive: true });
  }

  async place(id: string, directory: string, bytes: number | null): Promise<void> {
    if (bytes === null) return rename(directory, this.#place(id));
    await this.#makeImage(id, directory, bytes);
    await this.attach(id);
    await removeTree(directory);
  }

  async attach(id: string): Promise<void> {
    const { workspaces, tool, logger } = this.#options;
    const place = this.#place(id);
    if (!(await isThere(this.#image(id))) || (await this.#isMounted(id))) return;
    // Somebody unmounted it, and somebody wrote to what was left.
    if ((await namesIn(place)).length > 0) {
      const found = join(workspaces, `.found-${id}-${randomUUID()}`);
      await rename(place, found);
      logger.error({ sandbox: id, found }, "there were files where a workspace is mounted; they are kept beside it");
    }
    await mkdir(place, { recursive: true });
    await tool("mount", "-o", mountOptions, this.#image(id), place);
    await chmod(place, workspaceMode);
    await rmdir(join(place, "lost+found")).catch(() => {});
  }

  async limit(id: string, bytes: number | null, sandbox: "at rest" | "running"): Promise<boolean> {
    const size = await this.#size(id);
    if (size === undefined) return bytes === null || (sandbox === "at rest" && (await this.#confine(id, bytes)));
    if (bytes === null || bytes < size) {
      throw new DiskQuotaError(`A disk of ${size} bytes can grow, and neither shrink nor go`);
    }
    if (bytes > size) await truncate(this.#image(id), bytes);
    return this.#grow(id, sandbox);
  }

  async replace(id: string, swap: () => Promise<void>): Promise<void> {
    if (await this.#isMounted(id)) await this.#unmount(id);
    try {
      await swap();
    } catch (error) {
      await this.attach(id);
      throw error;
    }
    // After a crash before this the old one comes back, and the new one is kept beside it.
    await rm(this.#image(id), { force: true });
  }

  async use(id: string): Promise<DiskUse | null> {
    const size = await this.#size(id);
    if (size === undefined || !(await this.#isMounted(id))) return null;
    const { bsize, blocks, bfree } = await statfs(this.#place(id));
    // What the file system needs for itself counts as its blocks do not: of an image that has just grown, too.
    const overhead = Math.max(0, size - blocks * bsize);
    return { used: overhead + (blocks - bfree) * bsize, limit: size };
  }

  async remove(id: string): Promise<void> {
    if (await this.#isMounted(id)) await this.#unmount(id);
    await rm(this.#image(id), { force: true });
    await removeTree(this.#place(id));
  }

  /** Puts a workspace that was without a limit into an image. */
  async #confine(id: string, bytes: number): Promise<boolean> {
    const { workspaces, images } = this.#options;
    const unfinished = await this.#format(id, this.#place(id), bytes);
    const aside = await moveAside(workspaces, id);
    await rename(unfinished, join(images, `${id}.img`));
    await this.attach(id);
    await removeTree(aside);
    return true;
  }

  /** Has the file system fill its image. Where the kernel does not let it grow in place, that waits for the next start. */
  async #grow(id: string, sandbox: "at rest" | "running"): Promise<boolean> {
    const { tool, logger } = this.#options;
    const device = mountOf(await readMounts(), this.#place(id))?.source ?? "";
    if (await this.#isFull(id)) return true;
    try {
      await tool("losetup", "-c", device);
      await tool("resize2fs", device);
    } catch (error) {
      if (sandbox === "running") {
        logger.warn({ sandbox: id, reason: (error as Error).message }, "a disk grows at the next start");
        return false;
      }
      await tool("umount", this.#place(id));
      const isReleased = await this.#isReleased(id);
      if (isReleased) {
        await this.#check(id);
        await tool("resize2fs", this.#image(id));
      } else logger.warn({ sandbox: id }, "a disk is in use in another mount namespace, and grows at a later start");
      await this.attach(id);
      return isReleased;
    }
    return true;
  }

  /**
   * Whether the system has let go of an image that was unmounted here. A container that is being set up has all mounts of the
   * machine for a moment, and until it lets go of them what is in the image changes.
   */
  async #isReleased(id: string): Promise<boolean> {
    for (const late = Date.now() + releaseMs; Date.now() < late; await delay(20)) {
      if ((await this.#options.tool("losetup", "-j", this.#image(id))) === "") return true;
    }
    return false;
  }

  /** Its exit code 1 says that what was found is mended (e2fsck(8)). */
  async #check(id: string): Promise<void> {
    await this.#options.tool("e2fsck", "-f", "-p", this.#image(id)).catch((error) => {
      if (error.cause?.code !== 1) throw error;
    });
  }

  /** Whether the file system is as large as its image, but for its own tables. */
  async #isFull(id: string): Promise<boolean> {
    const { tool } = this.#options;
    const said = await tool("dumpe2fs", "-h", this.#image(id));
    const number = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)$`, "m").exec(said)?.[1]);
    return number("Block count") * number("Block size") > (await this.#size(id))! - 8 * mib;
  }

  async #makeImage(id: string, directory: string, bytes: number): Promise<void> {
    await rename(await this.#format(id, directory, bytes), this.#image(id));
  }

  /** Resolves with an image, not in its place yet, that has everything of a directory in it. */
  async #format(id: string, directory: string, bytes: number): Promise<string> {
    const { images, owner, tool } = this.#options;
    const unfinished = join(images, `.${id}-${randomUUID()}`);
    try {
      await tool("truncate", "-s", String(bytes), unfinished);
      await tool("mkfs.ext4", ...format(bytes), "-E", `root_owner=${owner}:${owner}`, "-d", directory, unfinished);
      return unfinished;
    } catch (error) {
      await rm(unfinished, { force: true });
      const { message } = error as Error;
      throw new DiskQuotaError(`The workspace gets no disk of ${bytes} bytes: ${message}`, { cause: error });
    }
  }

  /** A lazy one ends when the last process lets go of it. */
  async #unmount(id: string): Promise<void> {
    const { tool } = this.#options;
    await tool("umount", this.#place(id)).catch(() => tool("umount", "-l", this.#place(id)));
  }

  async #size(id: string): Promise<number | undefined> {
    return stat(this.#image(id)).then(
      ({ size }) => size,
      () => undefined,
    );
  }

  /** A mount is on a device of its own. */
  async #isMounted(id: string): Promise<boolean> {
    const [own, above] = await Promise.all([
      stat(this.#place(id)).catch(() => undefined),
      stat(this.#options.workspaces).catch(() => undefined),
    ]);
    return own !== undefined && own.dev !== above?.dev;
  }

  #place(id: string): string {
    return join(this.#options.workspaces, id);
  }

  #image(id: string): string {
    return join(this.#options.images, `${id}.img`);
  }
}
