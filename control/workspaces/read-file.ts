import type { BigIntStats } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { Readable } from "node:stream";
import { ApiError } from "../api-error.ts";
import { toFailure } from "./failure.ts";
import { type Parts, walk } from "./walk.ts";
import type { Workspace } from "./workspace.ts";

const chunkBytes = 64 * 1024;

/** A file that is open for reading, as it was when it was opened. Whoever has it closes it. */
export class OpenFile implements AsyncDisposable {
  readonly stats: BigIntStats;
  readonly #handle: FileHandle;

  constructor(handle: FileHandle, stats: BigIntStats) {
    this.#handle = handle;
    this.stats = stats;
  }

  get size(): number {
    return Number(this.stats.size);
  }

  /**
   * So many of its bytes. A file that has become shorter meanwhile ends it with an error: its length was told already. It
   * closes the file with its end, whether anybody read it or not.
   */
  stream(start: number, length: number): Readable {
    let position = start;
    const read = async (): Promise<Buffer | null> => {
      const most = Math.min(chunkBytes, start + length - position);
      if (most === 0) return null;
      const { bytesRead, buffer } = await this.#handle.read({ buffer: Buffer.alloc(most), position });
      if (bytesRead === 0) throw new Error("the file has become shorter");
      position += bytesRead;
      return buffer.subarray(0, bytesRead);
    };
    const close = () => this[Symbol.asyncDispose]();
    return new Readable({
      read() {
        read().then(
          (piece) => this.push(piece),
          (error) => this.destroy(error),
        );
      },
      destroy(error, done) {
        close().then(() => done(error), done);
      },
    });
  }

  /** As many bytes as it had when it was opened, or those that are left of them. */
  async *bytes(): AsyncGenerator<Buffer> {
    for (let position = 0; position < this.size; ) {
      const most = Math.min(chunkBytes, this.size - position);
      const { bytesRead, buffer } = await this.#handle.read({ buffer: Buffer.alloc(most), position });
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
      position += bytesRead;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close();
  }
}

/** Opens a regular file, through links that stay inside. Throws ApiError. */
export async function openFile(workspace: Workspace, parts: Parts): Promise<OpenFile> {
  await using place = await walk(workspace, parts, { follow: true });
  if (place.stats.isDirectory()) throw new ApiError("not_found", "There is a directory at this path, and no file");
  if (!place.stats.isFile()) throw new ApiError("invalid_request", "path: there is a pipe, socket or device");
  try {
    const handle = await place.openFile();
    return new OpenFile(handle, await handle.stat({ bigint: true }));
  } catch (error) {
    throw toFailure(error);
  }
}
