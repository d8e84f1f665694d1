import { randomUUID } from "node:crypto";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import type { Logger } from "pino";
import { BtrfsQuota } from "./btrfs-quota.ts";
import { type DiskDriver, type DiskQuota, DiskQuotaError, diskDrivers, NoQuota } from "./disk-quota.ts";
import { LoopQuota } from "./loop-quota.ts";
import { mountOf, readMounts } from "./mounts.ts";
import { isThere } from "./replaced.ts";
import { systemTool, type Tool } from "./tool.ts";
import { XfsQuota } from "./xfs-quota.ts";

export type DiskQuotaChoice = DiskDriver | "auto" | "off";
export const diskQuotaChoices = ["auto", ...diskDrivers, "off"] as const;

export type OpenDiskQuotaOptions = {
  readonly choice: DiskQuotaChoice;
  readonly dataDir: string;
  readonly owner: number;
  /** Where programs are looked for. */
  readonly path: string;
  readonly logger: Logger;
};

type Place = OpenDiskQuotaOptions & { readonly workspaces: string; readonly images: string; readonly tool: Tool };

/**
 * The limits that this machine can have, each tried for real. Of several the one that a sandbox cannot get around is
 * taken. Throws DiskQuotaError for one that was asked for by name and cannot be.
 */
export async function openDiskQuota(options: OpenDiskQuotaOptions): Promise<DiskQuota> {
  const { choice, dataDir } = options;
  const workspaces = join(dataDir, "workspaces");
  const place = { ...options, workspaces, images: join(dataDir, "disks"), tool: systemTool(options.path) };
  await mkdir(workspaces, { recursive: true });
  const quota = choice === "off" ? new NoQuota(workspaces, "switched off") : await probe(place, choice);
  await quota.open();
  return quota;
}

async function probe(place: Place, choice: DiskDriver | "auto"): Promise<DiskQuota> {
  const failures: string[] = [];
  for (const driver of choice === "auto" ? diskDrivers : [choice]) {
    try {
      return await makers[driver](place);
    } catch (error) {
      failures.push(`${driver}: ${(error as Error).message}`);
    }
  }
  if (choice !== "auto") throw new DiskQuotaError(`Cannot use SANDBOXD_DISK_QUOTA=${choice}: ${failures[0]}`);
  return new NoQuota(place.workspaces, `not possible here (${failures.join("; ")})`);
}

const makers: Readonly<Record<DiskDriver, (place: Place) => Promise<DiskQuota>>> = {
  /** Mounts a small one, and sees what it holds. */
  async loop(place) {
    const { workspaces, tool } = place;
    const mounts = await readMounts();
    const isContainer = mountOf(mounts, "/")?.type === "overlay";
    if (isContainer && !mountOf(mounts, workspaces)?.shared) {
      throw new Error("what is mounted in this container is not seen outside of it");
    }
    const trial = join(place.dataDir, `.disk-trial-${randomUUID()}`);
    const quota = new LoopQuota({ ...place, workspaces: join(trial, "workspaces"), images: join(trial, "disks") });
    try {
      await quota.prepare(join(trial, "seed"));
      await mkdir(join(trial, "workspaces"));
      await quota.open();
      await writeFile(join(trial, "seed", "file"), "");
      await quota.place("trial", join(trial, "seed"), 8 * 2 ** 20);
      if (!(await isThere(join(trial, "workspaces", "trial", "file")))) throw new Error("its content is not there");
      for (const program of ["losetup", "resize2fs", "e2fsck", "dumpe2fs"]) await tool("which", program);
    } catch (error) {
      const cause = error instanceof DiskQuotaError ? error.cause : error;
      throw cause instanceof Error ? cause : error;
    } finally {
      await quota.remove("trial");
      await rm(trial, { recursive: true, force: true });
    }
    return new LoopQuota(place);
  },

  async btrfs({ workspaces, tool }) {
    const type = mountOf(await readMounts(), workspaces)?.type;
    if (type !== "btrfs") throw new Error(`the data directory is on ${type}`);
    await tool("btrfs", "quota", "enable", workspaces);
    return new BtrfsQuota({ workspaces, tool });
  },

  /** Limits a small one, and sees what is told of it: everybody may read what quotas there are. */
  async xfs({ workspaces, dataDir, tool }) {
    const mount = mountOf(await readMounts(), workspaces);
    if (mount?.type !== "xfs") throw new Error(`the data directory is on ${mount?.type}`);
    if (!mount.options.some((option) => option === "prjquota" || option === "pquota")) {
      throw new Error(`${mount.path} is mounted without prjquota`);
    }
    const trial = join(dataDir, `.disk-trial-${randomUUID()}`);
    const id = basename(trial);
    const quota = new XfsQuota({ workspaces: trial, mount: mount.path, tool });
    try {
      await quota.prepare(join(trial, "seed"));
      await quota.place(id, join(trial, "seed"), 2 ** 20);
      if ((await quota.use(id))?.limit !== 2 ** 20) throw new Error("a limit is not kept");
      await quota.remove(id);
    } finally {
      await rm(trial, { recursive: true, force: true });
    }
    return new XfsQuota({ workspaces, mount: mount.path, tool });
  },
};
