import { setTimeout as delay } from "node:timers/promises";
import type { SandboxId } from "#contract/sandbox-id.ts";
import { ApiError } from "../api-error.ts";

/** Of one sandbox at once. */
export const mostExecs = 32;
const endPatienceMs = 5_000;

/** A command that runs in a sandbox, from before its wake until it has ended. */
export type Exec = {
  /** It begins to run: from now on a stop ends it, by this signal. Before that it waits for the stop and wakes the sandbox. */
  started(): AbortSignal;
  /** To be called when it is over, whatever came of it. */
  over(): void;
};

type Running = { stop: AbortController | undefined; readonly over: Promise<void> };

/** The commands that callers of the API run in sandboxes now: each keeps its sandbox awake, and none outlives its sleep. */
export class Execs {
  readonly #running = new Map<SandboxId, Set<Running>>();

  count(id: SandboxId): number {
    return this.#running.get(id)?.size ?? 0;
  }

  /** Throws ApiError `too_many_requests`. */
  begin(id: SandboxId): Exec {
    const all = this.#running.get(id) ?? new Set();
    if (all.size >= mostExecs)
      throw new ApiError("too_many_requests", `${mostExecs} commands run in this sandbox already`);
    this.#running.set(id, all);
    const over = Promise.withResolvers<void>();
    const running: Running = { stop: undefined, over: over.promise };
    all.add(running);
    return {
      started: () => {
        running.stop = new AbortController();
        return running.stop.signal;
      },
      over: () => {
        all.delete(running);
        if (all.size === 0 && this.#running.get(id) === all) this.#running.delete(id);
        over.resolve();
      },
    };
  }

  /** Ends what runs in a sandbox. Resolves when it is over, or does not end in time: then it ends with the sandbox. */
  async endAll(id: SandboxId): Promise<void> {
    const all = [...(this.#running.get(id) ?? [])].filter(({ stop }) => stop !== undefined);
    if (all.length === 0) return;
    for (const { stop } of all) stop?.abort();
    const patience = new AbortController();
    const late = delay(endPatienceMs, undefined, { signal: patience.signal }).catch(() => {});
    await Promise.race([Promise.all(all.map(({ over }) => over)), late]);
    patience.abort();
  }
}
