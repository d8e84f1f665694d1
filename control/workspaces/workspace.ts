import { chown } from "node:fs/promises";
import { notFound } from "../api-error.ts";
import { Place } from "./place.ts";

/** Where a sandbox sees its workspace. */
export const home = "/home/sandbox";

/** The directory of a sandbox's workspace. The sandbox may do anything in it at any time, and is trusted in nothing. */
export class Workspace {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** Its root. Throws ApiError `not_found` before there is one. */
  async open(): Promise<Place> {
    try {
      return await Place.openDirectory(this.path);
    } catch {
      throw notFound("There is no workspace yet");
    }
  }

  /** What of an absolute path, as a sandbox writes it, is below the root; undefined when it is not. */
  belowRoot(absolute: Buffer): Buffer | undefined {
    for (const root of [home, this.path].map((path) => Buffer.from(path))) {
      const isBelow = absolute.subarray(0, root.length).equals(root);
      if (isBelow && (absolute.length === root.length || absolute[root.length] === 0x2f)) {
        return absolute.subarray(root.length);
      }
    }
    return undefined;
  }

  /** Has a file or directory that control made belong to whom the workspace belongs to. */
  async giveToOwner({ self, stats }: Place): Promise<void> {
    await using root = await this.open();
    const { uid, gid } = root.stats;
    if (process.getuid?.() === 0 && (stats.uid !== uid || stats.gid !== gid))
      await chown(self, Number(uid), Number(gid));
  }
}
