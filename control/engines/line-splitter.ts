/** Longer lines are split, so that one line never holds much memory. */
export const longestLineBytes = 16_384;

const newline = 0x0a;
const carriageReturn = 0x0d;

/**
 * Cuts a byte stream into lines without their ends (`\n` or `\r\n`). What follows the last line end is kept until its
 * own end comes or `flush()` is called. A line longer than 16 KiB is given in pieces, never cut inside a UTF-8 character.
 */
export class LineSplitter {
  #rest: Buffer = Buffer.alloc(0);

  push(chunk: Buffer): string[] {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const lines: string[] = [];
    for (;;) {
      const end = bytes.indexOf(newline);
      if ((end < 0 ? bytes.length : end) > longestLineBytes) {
        const cut = characterStart(bytes, longestLineBytes);
        lines.push(bytes.toString("utf8", 0, cut));
        bytes = bytes.subarray(cut);
        continue;
      }
      if (end < 0) break;
      lines.push(bytes.toString("utf8", 0, bytes[end - 1] === carriageReturn ? end - 1 : end));
      bytes = bytes.subarray(end + 1);
    }
    // A copy: a small rest must not keep a large chunk alive.
    this.#rest = Buffer.from(bytes);
    return lines;
  }

  /** The unfinished line, if there is one; the stream has ended. */
  flush(): string[] {
    const rest = this.#rest;
    this.#rest = Buffer.alloc(0);
    return rest.length === 0 ? [] : [rest.toString("utf8")];
  }
}

/** The last place at or before `at` where a UTF-8 character starts, unless these bytes are not UTF-8 at all. */
function characterStart(bytes: Buffer, at: number): number {
  for (let back = 0; back < 4; back++) {
    if ((bytes[at - back]! & 0xc0) !== 0x80) return at - back;
  }
  return at;
}
