import { randomUUID } from "node:crypto";
import { chmod, chown, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { removeTree } from "../snapshots/tree-copy.ts";
import type { DiskQuota, DiskUse } from "./disk-quota.ts";
import { finishReplacing, moveAside } from "./replaced.ts";
import type { Tool } from "./tool.ts";

/** What the root of every subvolume has. */
const subvolumeInode = 256;

/**
 * Workspaces are subvolumes of a btrfs with quotas, each in a group with a limit. One that was made before is copied into
 * a subvolume, by reference, as soon as it gets a limit.
 */
export class BtrfsQuota implements DiskQuota {
  readonly driver = "btrfs";
  readonly detail = "a subvolume for each workspace, with a limit in its quota group";
  readonly #workspaces: string;
  readonly #tool: Tool;

  constructor({ workspaces, tool }: { workspaces: string; tool: Tool }) {
    this.#workspaces = workspaces;
    this.#tool = tool;
  }

  async open(): Promise<void> {
    await finishReplacing(this.#workspaces, async () => false);
  }

  async prepare(directory: string): Promise<void> {
    await this.#tool("btrfs", "subvolume", "create", directory);
  }

  async place(id: string, directory: string, bytes: number | null): Promise<void> {
    if (bytes !== null) await this.#setLimit(directory, bytes);
    await rename(directory, join(this.#workspaces, id));
  }

  async attach(): Promise<void> {}

  async limit(id: string, bytes: number | null, sandbox: "at rest" | "running"): Promise<boolean> {
    const place = join(this.#workspaces, id);
    if (!(await isSubvolume(place))) {
      if (bytes === null) return true;
      if (sandbox === "running") return false;
      await this.#confine(id, place);
    }
    await this.#setLimit(place, bytes);
    return true;
  }

  async replace(_id: string, swap: () => Promise<void>): Promise<void> {
    await swap();
  }

  async use(id: string): Promise<DiskUse | null> {
    const place = join(this.#workspaces, id);
    if (!(await isSubvolume(place))) return null;
    await this.#tool("btrfs", "filesystem", "sync", place);
    const said = await this.#tool("btrfs", "qgroup", "show", "--raw", "-r", "-f", place);
    const [, used, , limit] = /^0\/\d+\s+(\d+)\s+(\d+)\s+(\d+|none)/m.exec(said) ?? [];
    if (used === undefined) return null;
    return { used: Number(used), limit: limit === "none" ? null : Number(limit) };
  }

  async remove(id: string): Promise<void> {
    await removeTree(join(this.#workspaces, id));
  }

  async #setLimit(place: string, bytes: number | null): Promise<void> {
    await this.#tool("btrfs", "qgroup", "limit", bytes === null ? "none" : String(bytes), place);
  }

  async #confine(id: string, place: string): Promise<void> {
    const copy = join(this.#workspaces, `.${id}-${randomUUID()}`);
    await this.prepare(copy);
    try {
      const { uid, gid, mode } = await stat(place);
      await this.#tool("cp", "-a", "--reflink=auto", `${place}/.`, copy);
      await chown(copy, uid, gid);
      await chmod(copy, mode & 0o7777);
      const aside = await moveAside(this.#workspaces, id);
      await rename(copy, place);
      await removeTree(aside);
    } catch (error) {
      await rm(copy, { recursive: true, force: true });
      throw error;
    }
  }
}

async function isSubvolume(path: string): Promise<boolean> {
  return stat(path).then(
    ({ ino }) => ino === subvolumeInode,
    () => false,
  );
}
