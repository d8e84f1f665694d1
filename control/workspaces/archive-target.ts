import { once } from "node:events";
import type { Writable } from "node:stream";

/** Waits until whoever reads an archive takes more. Throws when nobody does any longer. */
export async function room(target: Writable): Promise<void> {
  if (target.writableNeedDrain && !target.destroyed) {
    const left = new AbortController();
    const { signal } = left;
    // The one that comes later is not waited for, and shall not be left over.
    await Promise.race([once(target, "drain", { signal }), once(target, "close", { signal })]).finally(() =>
      left.abort(),
    );
  }
  if (target.destroyed) throw new Error("nobody reads it any more");
}
