import { mkdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { removeTree } from "../snapshots/tree-copy.ts";

export const diskDrivers = ["loop", "btrfs", "xfs"] as const;
export type DiskDriver = (typeof diskDrivers)[number];

/** Bytes. */
export type DiskUse = { readonly used: number; readonly limit: number | null };

/** A limit that cannot be had. The message is for whoever asked for it. */
export class DiskQuotaError extends Error {
  override readonly name = "DiskQuotaError";
}

/**
 * How much of the disk each workspace, `<workspaces>/<id>`, may take. Calls for one workspace come one after the other.
 * A name there that begins with a dot is no workspace.
 */
export interface DiskQuota {
  readonly driver: DiskDriver | "none";
  /** For an operator: what it is, or why there is none. */
  readonly detail: string;
  /** Finishes what a crash cut off, and brings back what a reboot took. */
  open(): Promise<void>;
  /** Makes an empty directory in which a workspace is put together. */
  prepare(directory: string): Promise<void>;
  /** Moves such a directory to its place, where it is whole or not at all. Throws DiskQuotaError when it does not fit. */
  place(id: string, directory: string, bytes: number | null): Promise<void>;
  /** Makes sure that what is in its place can be used, and is limited as far as that is known. Quick when it is. */
  attach(id: string): Promise<void>;
  /**
   * Has one in its place take so much and no more; null is no limit. While the sandbox runs only what is possible without
   * taking its disk away: resolves with whether the limit is in force. Throws DiskQuotaError for one that never can be.
   */
  limit(id: string, bytes: number | null, sandbox: "at rest" | "running"): Promise<boolean>;
  /**
   * Has `swap` put another directory into the place of a workspace at rest. That one is without a limit then; the old one
   * is gone for good. When `swap` fails all is as before.
   */
  replace(id: string, swap: () => Promise<void>): Promise<void>;
  /** null where nobody counts. */
  use(id: string): Promise<DiskUse | null>;
  remove(id: string): Promise<void>;
}

/** No limit at all. */
export class NoQuota implements DiskQuota {
  readonly driver = "none";
  readonly detail: string;
  readonly #workspaces: string;

  constructor(workspaces: string, detail: string) {
    this.#workspaces = workspaces;
    this.detail = detail;
  }

  async open(): Promise<void> {}

  async prepare(directory: string): Promise<void> {
    await mkdir(directory, { recursive: true });
  }

  async place(id: string, directory: string): Promise<void> {
    await rename(directory, join(this.#workspaces, id));
  }

  async attach(): Promise<void> {}

  async limit(_id: string, bytes: number | null): Promise<boolean> {
    return bytes === null;
  }

  async replace(_id: string, swap: () => Promise<void>): Promise<void> {
    await swap();
  }

  async use(): Promise<null> {
    return null;
  }

  async remove(id: string): Promise<void> {
    await removeTree(join(this.#workspaces, id));
  }
}
