import { type FSWatcher, watch } from "node:fs";
import { derived } from "./list-files.ts";
import type { Place } from "./place.ts";
import { type Parts, walk } from "./walk.ts";
import type { Workspace } from "./workspace.ts";

/** Of one watcher: the kernel gives out only so many. */
export const mostDirectories = 1_000;
/** What changes in quick succession is told once. */
const settleMs = 50;
const mostPending = 1_000;

export type FileChange = {
  /** From the directory that is watched. */
  readonly path: string;
  readonly kind: "created" | "changed" | "removed";
};

/** `incomplete`: changes may have been missed, or are not seen, so that a reader lists anew. */
export type WatchEvents = {
  readonly changes: (changes: readonly FileChange[]) => void;
  readonly incomplete: () => void;
};

/**
 * Tells what changes in a directory and below it, but for what is installed or built. Links are not followed. Resolves once it
 * watches, and until the signal aborts. Throws ApiError.
 */
export async function watchFiles(
  workspace: Workspace,
  parts: Parts,
  events: WatchEvents,
  signal: AbortSignal,
): Promise<void> {
  await using directory = await walk(workspace, parts, { follow: true });
  const watching = new Watching(workspace, parts, events);
  signal.addEventListener("abort", () => watching.close(), { once: true });
  await watching.add(directory, []);
  if (signal.aborted) watching.close();
}

class Watching {
  readonly #workspace: Workspace;
  readonly #base: Parts;
  readonly #events: WatchEvents;
  readonly #watchers = new Map<string, FSWatcher>();
  #pending = new Map<string, { readonly parts: Parts; readonly appeared: boolean }>();
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(workspace: Workspace, base: Parts, events: WatchEvents) {
    this.#workspace = workspace;
    this.#base = base;
    this.#events = events;
  }

  /** Watches a directory and those below it. */
  async add(directory: Place, parts: Parts): Promise<void> {
    if (this.#closed || !directory.stats.isDirectory()) return;
    if (!this.#watch(directory, parts)) return this.#events.incomplete();
    try {
      for await (const name of directory.names()) {
        if (derived.has(name.toString())) continue;
        const entered = await directory.enter(name).catch(() => undefined);
        if (entered === undefined) continue;
        await using below = entered;
        await this.add(below, [...parts, name]);
        if (this.#watchers.size >= mostDirectories) return;
      }
    } catch {
      this.#events.incomplete();
    }
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  /** By its descriptor: the kernel watches the directory itself, whatever takes its name. False when there is no room. */
  #watch(directory: Place, parts: Parts): boolean {
    const key = keyOf(parts);
    this.#forget(key);
    if (this.#watchers.size >= mostDirectories) return false;
    try {
      const watcher = watch(directory.self, { encoding: "buffer", persistent: false }, (event, name) => {
        if (name !== null) this.#note([...parts, name], event === "rename");
      });
      watcher.on("error", () => this.#forget(key));
      this.#watchers.set(key, watcher);
      return true;
    } catch {
      return false;
    }
  }

  #note(parts: Parts, appeared: boolean): void {
    if (derived.has(parts.at(-1)!.toString())) return;
    if (this.#pending.size >= mostPending) return;
    const key = keyOf(parts);
    this.#pending.set(key, { parts, appeared: appeared || this.#pending.get(key)?.appeared === true });
    this.#timer ??= setTimeout(() => void this.#tell(), settleMs);
  }

  async #tell(): Promise<void> {
    const pending = this.#pending;
    this.#pending = new Map();
    this.#timer = undefined;
    if (pending.size >= mostPending) this.#events.incomplete();
    const changes: FileChange[] = [];
    for (const { parts, appeared } of pending.values()) {
      const path = Buffer.concat(parts.flatMap((part) => [Buffer.from("/"), part]))
        .toString()
        .slice(1);
      const found = await walk(this.#workspace, [...this.#base, ...parts], { follow: false }).catch(() => undefined);
      if (found === undefined) {
        this.#forget(keyOf(parts));
        changes.push({ path, kind: "removed" });
        continue;
      }
      await using place = found;
      if (appeared && place.stats.isDirectory()) await this.add(place, parts);
      changes.push({ path, kind: appeared ? "created" : "changed" });
    }
    if (!this.#closed) this.#events.changes(changes);
  }

  /** With all below it: it is gone, or has another name by now. */
  #forget(key: string): void {
    for (const [each, watcher] of this.#watchers) {
      if (each !== key && !each.startsWith(`${key}/`)) continue;
      watcher.close();
      this.#watchers.delete(each);
    }
  }
}

function keyOf(parts: Parts): string {
  return parts.map((part) => part.toString("latin1")).join("/");
}
