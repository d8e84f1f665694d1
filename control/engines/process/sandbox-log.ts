import { type FSWatcher, mkdirSync, watch } from "node:fs";
import { join } from "node:path";
import { LogRing } from "../log-ring.ts";
import type { LogLine } from "../sandbox-engine.ts";
import { LogFile, type NewLines } from "./log-file.ts";

const streams = ["stdout", "stderr"] as const;
/** New output is read this long after its first byte, so that a flood costs one read and not thousands. */
const gatherMs = 10;

/**
 * stdout and stderr of one sandbox over all its runs: two files in `directory`, which outlive this program, and a ring
 * of the last lines. A line's time is when it was read here; after a restart, when its file was last written.
 */
export class SandboxLog {
  readonly #directory: string;
  readonly #mostBytes: number;
  readonly #ring = new LogRing();
  #files: { readonly stdout: LogFile; readonly stderr: LogFile } | undefined;
  #watcher: FSWatcher | undefined;
  #gathering: NodeJS.Timeout | undefined;

  constructor(directory: string, options: { mostBytes: number }) {
    this.#directory = directory;
    this.#mostBytes = options.mostBytes;
  }

  /** Opens the files and reads what comes, until `pause()`. Returns the descriptors for a process to write to. */
  follow(): readonly [stdout: number, stderr: number] {
    const { stdout, stderr } = this.#open();
    this.#watcher ??= watch(this.#directory, () => {
      this.#gathering ??= setTimeout(() => this.#gather(), gatherMs);
    });
    return [stdout.descriptor, stderr.descriptor];
  }

  /** Reads the rest of what an ended run wrote. Until the next `follow()` nothing new comes. */
  pause(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
    this.#gather();
    for (const stream of streams) this.#push(stream, { lines: this.#files?.[stream].flush() ?? [], time: Date.now() });
  }

  read(options: { tail?: number; follow?: boolean; signal?: AbortSignal }): AsyncIterable<LogLine> {
    this.#open();
    this.#gather();
    return this.#ring.read(options);
  }

  /** Lets go of the files and ends those who follow. */
  async close(): Promise<void> {
    this.pause();
    this.#ring.close();
    const files = this.#files;
    this.#files = undefined;
    await Promise.all(streams.map((stream) => files?.[stream].close()));
  }

  #open(): { readonly stdout: LogFile; readonly stderr: LogFile } {
    if (this.#files !== undefined) return this.#files;
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    const file = (stream: string) => new LogFile(join(this.#directory, `${stream}.log`), this.#mostBytes);
    this.#files = { stdout: file("stdout"), stderr: file("stderr") };
    for (const stream of streams) this.#push(stream, this.#files[stream].readTail());
    return this.#files;
  }

  #gather(): void {
    clearTimeout(this.#gathering);
    this.#gathering = undefined;
    if (this.#files === undefined) return;
    for (const stream of streams) this.#push(stream, this.#files[stream].readNew());
  }

  #push(stream: LogLine["stream"], { lines, time }: NewLines): void {
    this.#ring.push(lines.map((line) => ({ stream, time, line })));
  }
}
