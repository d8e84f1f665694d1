import { randomUUID } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { access, chmod, lchown, mkdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { extract } from "tar-fs";
import type { DiskQuota } from "../../disks/disk-quota.ts";
import { sandboxUser } from "./container-options.ts";
import { type DockerClient, statusOf } from "./docker-client.ts";
import { withHelper } from "./helper-container.ts";

/** Where an image keeps what a new workspace begins with. */
const skeletonPath = "/etc/skel-sandbox";

export type WorkspacesOptions = {
  readonly client: DockerClient;
  readonly dataDir: string;
  readonly quota: DiskQuota;
  /** Of the containers that skeletons are copied out of. */
  readonly labels: Readonly<Record<string, string>>;
};

/**
 * The workspaces of an engine, `<data>/workspaces/<id>`. A new one is put together beside its place and moved there
 * whole, so that one which is there is complete, however this program ended.
 */
export class Workspaces {
  readonly #options: WorkspacesOptions;
  /** By image id: its skeleton's archive, or undefined when it has none. */
  readonly #skeletons = new Map<string, Promise<string | undefined>>();

  constructor(options: WorkspacesOptions) {
    this.#options = options;
  }

  path(id: string): string {
    return join(this.#options.dataDir, "workspaces", id);
  }

  async has(id: string): Promise<boolean> {
    await this.#options.quota.attach(id);
    return access(this.path(id)).then(
      () => true,
      () => false,
    );
  }

  /** Makes a workspace from the skeleton of an image. Throws DiskQuotaError when that does not fit. */
  async seed(id: string, imageId: string, diskBytes: number | null): Promise<void> {
    const { quota } = this.#options;
    const archive = await this.#skeleton(imageId);
    const seedling = join(this.#options.dataDir, "workspaces", `.${id}-${randomUUID()}`);
    try {
      await mkdir(dirname(seedling), { recursive: true });
      await quota.prepare(seedling);
      if (archive !== undefined) await unpack(archive, seedling);
      for (const path of [seedling, join(seedling, "workspace"), join(seedling, "workspace", "app")]) {
        await mkdir(path, { recursive: true });
        await giveToSandbox(path);
      }
      await chmod(seedling, 0o750);
      await quota.place(id, seedling, diskBytes);
    } finally {
      await rm(seedling, { recursive: true, force: true });
    }
  }

  async remove(id: string): Promise<void> {
    await this.#options.quota.remove(id);
  }

  #skeleton(imageId: string): Promise<string | undefined> {
    const known = this.#skeletons.get(imageId);
    if (known !== undefined) return known;
    const copied = this.#copySkeleton(imageId);
    this.#skeletons.set(imageId, copied);
    copied.catch(() => this.#skeletons.delete(imageId));
    return copied;
  }

  /** An archive is kept under the name of its image, whose content never changes. */
  async #copySkeleton(imageId: string): Promise<string | undefined> {
    const directory = join(this.#options.dataDir, "skeletons");
    const archive = join(directory, `${imageId.replace(/^sha256:/, "")}.tar`);
    if (
      await access(archive).then(
        () => true,
        () => false,
      )
    )
      return archive;
    await mkdir(directory, { recursive: true });
    const unfinished = `${archive}.${randomUUID()}`;
    try {
      const isThere = await this.#fetchSkeleton(imageId, unfinished);
      if (!isThere) return undefined;
      await rename(unfinished, archive);
      return archive;
    } finally {
      await rm(unfinished, { force: true });
    }
  }

  #fetchSkeleton(imageId: string, target: string): Promise<boolean> {
    const { client, labels } = this.#options;
    return client.use((docker) =>
      withHelper(docker, { Image: imageId, Labels: { ...labels }, Cmd: ["true"] }, async (container) => {
        try {
          await pipeline(await container.getArchive({ path: skeletonPath }), createWriteStream(target));
          return true;
        } catch (error) {
          if (statusOf(error) === 404) return false;
          throw error;
        }
      }),
    );
  }
}

/**
 * Unpacks a skeleton for the sandbox's user. An image is not trusted: entries that lead out of the directory, by name
 * or by link, and devices end it with an error, and no file keeps a set-user-id bit.
 */
export async function unpack(archive: string, directory: string): Promise<void> {
  const owned = extract(directory, {
    strip: 1,
    umask: 0,
    map: (header) => ({ ...header, uid: sandboxUser, gid: sandboxUser }),
  });
  await pipeline(createReadStream(archive), owned);
}

async function giveToSandbox(path: string): Promise<void> {
  if (process.getuid?.() === 0) await lchown(path, sandboxUser, sandboxUser);
}
