/** Who waits, served in turn by owner and in order of arrival within one: nobody's many hold up another's one. */
export class FairQueue<Entry> {
  readonly #mostPerOwner: number;
  /** In the order in which the owners are served next. */
  #lines = new Map<string | null, Entry[]>();

  constructor(mostPerOwner: number) {
    this.#mostPerOwner = mostPerOwner;
  }

  get size(): number {
    let size = 0;
    for (const line of this.#lines.values()) size += line.length;
    return size;
  }

  /** False when this owner has too many waiting already. */
  enter(owner: string | null, entry: Entry): boolean {
    const line = this.#lines.get(owner) ?? [];
    if (line.length >= this.#mostPerOwner) return false;
    line.push(entry);
    this.#lines.set(owner, line);
    return true;
  }

  /** Takes the next one out; its owner comes last from now on. */
  next(): Entry | undefined {
    for (const [owner, line] of this.#lines) {
      const entry = line.shift();
      this.#lines.delete(owner);
      if (line.length > 0) this.#lines.set(owner, line);
      return entry;
    }
    return undefined;
  }

  leave(entry: Entry): void {
    for (const [owner, line] of this.#lines) {
      const index = line.indexOf(entry);
      if (index < 0) continue;
      line.splice(index, 1);
      if (line.length === 0) this.#lines.delete(owner);
      return;
    }
  }

  /** Everyone in the order in which they will be served. */
  *[Symbol.iterator](): Generator<Entry> {
    const lines = [...this.#lines.values()];
    const longest = Math.max(0, ...lines.map(({ length }) => length));
    for (let round = 0; round < longest; round++) {
      for (const line of lines) if (round < line.length) yield line[round]!;
    }
  }
}
