import { mkdir } from "node:fs/promises";
import { ApiError } from "../api-error.ts";
import { missing, outside } from "./failure.ts";
import type { Place } from "./place.ts";
import type { Workspace } from "./workspace.ts";

/** As Linux itself: so many symbolic links are followed on one way, and no more. */
const mostLinks = 40;
const mostParts = 4096;
const up = "..";

/** The parts of a path below the root of a workspace. */
export type Parts = readonly Buffer[];

/**
 * Finds what is at a path, step by step from the root of the workspace: each directory is held while the next name is
 * looked up in it, and symbolic links are resolved here and not by the kernel. So nothing outside is ever reached, whatever
 * changes under way. Throws ApiError `not_found`, and `invalid_request` where a link leads outside or round in circles.
 */
export async function walk(workspace: Workspace, parts: Parts, { follow }: { follow: boolean }): Promise<Place> {
  await using way = await Way.begin(workspace);
  await way.go(parts, follow);
  return way.take();
}

/**
 * The directory in which the last part of a path is, or shall be, and that part: what is there itself is not looked at.
 * With `create` directories that are missing on the way are made, for the workspace's owner. Throws as `walk()`.
 */
export async function walkToParent(
  workspace: Workspace,
  parts: Parts,
  { create = false }: { create?: boolean } = {},
): Promise<{ directory: Place; name: Buffer }> {
  const name = parts.at(-1);
  if (name === undefined) throw new ApiError("invalid_request", "path: the root of the workspace is not to be changed");
  await using way = await Way.begin(workspace);
  await way.go(parts.slice(0, -1), true, create);
  const directory = way.take();
  if (directory.stats.isDirectory()) return { directory, name };
  await directory[Symbol.asyncDispose]();
  throw missing();
}

/** Where a walk is: the root, and below it each directory on the way, all held. */
class Way implements AsyncDisposable {
  readonly #workspace: Workspace;
  readonly #places: Place[];
  #links = 0;

  private constructor(workspace: Workspace, root: Place) {
    this.#workspace = workspace;
    this.#places = [root];
  }

  static async begin(workspace: Workspace): Promise<Way> {
    return new Way(workspace, await workspace.open());
  }

  async go(parts: Parts, follow: boolean, create = false): Promise<void> {
    const rest = [...parts].reverse();
    for (let name = rest.pop(); name !== undefined; name = rest.pop()) {
      if (name.length === 0 || name.equals(Buffer.from("."))) continue;
      if (name.toString("latin1") === up) {
        await this.#goUp();
        continue;
      }
      if (!this.#here.stats.isDirectory()) throw missing();
      const next = await this.#enter(name, create);
      if (!next.stats.isSymbolicLink() || (rest.length === 0 && !follow)) {
        this.#places.push(next);
        continue;
      }
      await next[Symbol.asyncDispose]();
      rest.push(...(await this.#resolve(name)).reverse());
      if (rest.length > mostParts) throw new ApiError("invalid_request", "path: its links make it too long");
    }
  }

  /** Hands over where it is, and no longer holds that. */
  take(): Place {
    return this.#places.pop()!;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#backTo(0);
  }

  get #here(): Place {
    return this.#places.at(-1)!;
  }

  async #enter(name: Buffer, create: boolean): Promise<Place> {
    try {
      return await this.#here.enter(name);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (!create || code !== "ENOENT") throw missing(error);
    }
    await mkdir(this.#here.at(name), 0o755).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw missing(error);
    });
    const made = await this.#here.enter(name).catch((error: unknown) => {
      throw missing(error);
    });
    if (made.stats.isDirectory()) await this.#workspace.giveToOwner(made);
    return made;
  }

  /** The parts that a link stands for; an absolute one begins at the root again. */
  async #resolve(name: Buffer): Promise<Buffer[]> {
    if (++this.#links > mostLinks) throw new ApiError("invalid_request", "path: too many symbolic links");
    const target = await this.#here.readLink(name).catch((error: unknown) => {
      throw missing(error);
    });
    if (target[0] !== 0x2f) return split(target);
    const below = this.#workspace.belowRoot(target);
    if (below === undefined) throw outside();
    await this.#backTo(1);
    return split(below);
  }

  async #goUp(): Promise<void> {
    if (this.#places.length === 1) throw outside();
    await this.#backTo(this.#places.length - 1);
  }

  async #backTo(length: number): Promise<void> {
    for (const place of this.#places.splice(length)) await place[Symbol.asyncDispose]();
  }
}

/** The parts of a path between its slashes. */
export function split(path: Buffer): Buffer[] {
  const parts: Buffer[] = [];
  for (let start = 0; start <= path.length; ) {
    const slash = path.indexOf(0x2f, start);
    const end = slash === -1 ? path.length : slash;
    if (end > start) parts.push(path.subarray(start, end));
    start = end + 1;
  }
  return parts;
}
