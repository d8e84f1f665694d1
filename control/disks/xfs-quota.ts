import { createHash } from "node:crypto";
import { mkdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { removeTree } from "../snapshots/tree-copy.ts";
import type { DiskQuota, DiskUse } from "./disk-quota.ts";
import type { Tool } from "./tool.ts";

/** Workspaces are projects of an XFS with project quotas. */
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
    if (bytes !== null) await this.#setLimit(id, bytes);
    await rename(directory, join(this.#workspaces, id));
  }

  async attach(): Promise<void> {}

  async limit(id: string, bytes: number | null): Promise<boolean> {
    if (bytes !== null) await this.#enter(id, join(this.#workspaces, id));
    await this.#setLimit(id, bytes);
    return true;
  }

  async replace(_id: string, swap: () => Promise<void>): Promise<void> {
    await swap();
  }

  async use(id: string): Promise<DiskUse | null> {
    const said = await this.#command(`quota -p -N -b ${projectOf(id)}`);
    // Device, used, soft, hard, in KiB.
    const [, used, hard] = /^\S+\s+(\d+)\s+\d+\s+(\d+)/m.exec(said) ?? [];
    if (used === undefined) return null;
    return { used: Number(used) * 1024, limit: Number(hard) === 0 ? null : Number(hard) * 1024 };
  }

  async remove(id: string): Promise<void> {
    await removeTree(join(this.#workspaces, id));
    await this.#setLimit(id, null);
  }

  /** What is made in it later belongs to the project as well. */
  async #enter(id: string, directory: string): Promise<void> {
    await this.#command(`project -s -p ${directory} ${projectOf(id)}`);
  }

  async #setLimit(id: string, bytes: number | null): Promise<void> {
    await this.#command(`limit -p bhard=${bytes ?? 0} ${projectOf(id)}`);
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
