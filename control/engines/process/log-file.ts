import { closeSync, constants, fstatSync, ftruncateSync, openSync, readSync, statSync } from "node:fs";
import { copyFile } from "node:fs/promises";
import { LineSplitter } from "../line-splitter.ts";

const tailBytes = 256 * 1024;
const mostBehind = 1024 * 1024;

/** What is new in a file: its lines and when the file was last written, epoch milliseconds. */
export type NewLines = { readonly lines: string[]; readonly time: number };

/**
 * One file that processes append to and this program reads behind them. A process keeps the file open with O_APPEND for
 * as long as it lives, whatever becomes of this program, so the file is never replaced: past `mostBytes` it is copied
 * to `<path>.1` and emptied in place.
 */
export class LogFile {
  readonly #path: string;
  readonly #mostBytes: number;
  readonly #descriptor: number;
  readonly #splitter = new LineSplitter();
  #offset = 0;
  #copying: Promise<void> | undefined;

  constructor(path: string, mostBytes: number) {
    this.#path = path;
    this.#mostBytes = mostBytes;
    this.#descriptor = openSync(path, constants.O_RDWR | constants.O_APPEND | constants.O_CREAT, 0o600);
  }

  /** For a process to write to; it gets a descriptor of its own. */
  get descriptor(): number {
    return this.#descriptor;
  }

  /** The last lines that an earlier program left, and goes on behind them. */
  readTail(): NewLines {
    const { size, mtimeMs } = fstatSync(this.#descriptor);
    const before = size < tailBytes ? lastBytes(`${this.#path}.1`, tailBytes - size) : Buffer.alloc(0);
    const start = Math.max(0, size - tailBytes);
    const text = Buffer.concat([before, readRange(this.#descriptor, start, size)]);
    // The first line of a tail is most likely the end of one.
    const isCut = start > 0 || before.length > 0;
    const lines = this.#splitter.push(isCut ? text.subarray(text.indexOf(0x0a) + 1) : text);
    this.#offset = size;
    return { lines, time: Math.round(mtimeMs) };
  }

  /** The lines since the last call. Of a flood that was not read in time, the newest part. */
  readNew(): NewLines {
    const { size } = fstatSync(this.#descriptor);
    if (size < this.#offset) this.#offset = 0;
    if (size - this.#offset > mostBehind) this.#offset = size - tailBytes;
    const lines = size === this.#offset ? [] : this.#splitter.push(readRange(this.#descriptor, this.#offset, size));
    this.#offset = size;
    if (size > this.#mostBytes) this.#copying ??= this.#empty();
    return { lines, time: Date.now() };
  }

  /** The unfinished line of a process that has ended. */
  flush(): string[] {
    return this.#splitter.flush();
  }

  async close(): Promise<void> {
    await this.#copying;
    closeSync(this.#descriptor);
  }

  /** What is written between the copy's end and the emptying has been read here, but is not in the copy. */
  async #empty(): Promise<void> {
    try {
      await copyFile(this.#path, `${this.#path}.1`);
    } catch {
      // The bound matters more than the copy.
    }
    ftruncateSync(this.#descriptor, 0);
    this.#offset = 0;
    this.#copying = undefined;
  }
}

function readRange(descriptor: number, start: number, end: number): Buffer {
  const bytes = Buffer.alloc(end - start);
  return bytes.subarray(0, readSync(descriptor, bytes, 0, bytes.length, start));
}

function lastBytes(path: string, most: number): Buffer {
  try {
    const { size } = statSync(path);
    const descriptor = openSync(path, "r");
    try {
      return readRange(descriptor, Math.max(0, size - most), size);
    } finally {
      closeSync(descriptor);
    }
  } catch {
    return Buffer.alloc(0);
  }
}
