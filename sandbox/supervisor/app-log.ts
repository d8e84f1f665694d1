import { appendFileSync, mkdirSync, renameSync, statSync } from "node:fs";
import { dirname } from "node:path";

const mostBytes = 1 << 20;
const tailLength = 4_000;

/**
 * What the app says, in a file of at most 1 MiB and the one before it. A full disk costs lines of the log and nothing else:
 * all of it goes to the container's own log too.
 */
export class AppLog {
  readonly #path: string;
  #bytes: number;
  #tail: string;

  constructor(path: string) {
    this.#path = path;
    mkdirSync(dirname(path), { recursive: true });
    this.#bytes = sizeOf(path);
    this.#tail = "";
  }

  append(text: string): void {
    this.#tail = (this.#tail + text).slice(-tailLength);
    try {
      if (this.#bytes > mostBytes) {
        renameSync(this.#path, `${this.#path}.1`);
        this.#bytes = 0;
      }
      appendFileSync(this.#path, text);
      this.#bytes += Buffer.byteLength(text);
    } catch {}
  }

  /** The last lines, since this program runs. */
  get tail(): string {
    const isCut = this.#tail.length === tailLength && this.#tail.includes("\n");
    return isCut ? this.#tail.slice(this.#tail.indexOf("\n") + 1) : this.#tail;
  }
}

function sizeOf(path: string): number {
  try {
    return statSync(path).size;
  } catch {
    return 0;
  }
}
