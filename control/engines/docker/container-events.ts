import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import { parseSandboxId, type SandboxId } from "#contract/sandbox-id.ts";
import { labelFilters, labels } from "./container-options.ts";
import type { DockerClient } from "./docker-client.ts";

const firstPauseMs = 100;
const longestPauseMs = 2_000;

export type ContainerEvent =
  | { readonly type: "start" | "oom" | "destroy"; readonly id: SandboxId }
  | { readonly type: "die"; readonly id: SandboxId; readonly exitCode: number }
  /** A call had the daemon send a signal, told by its number. */
  | { readonly type: "kill"; readonly id: SandboxId; readonly signal: string }
  /** The stream was away: anything may have happened. */
  | { readonly type: "gap" };

/** Called with one event after another: the next one waits for the promise. */
export type ContainerEventListener = (event: ContainerEvent) => void | Promise<void>;

export type ContainerEventsOptions = {
  readonly client: DockerClient;
  readonly labels: Readonly<Record<string, string>>;
  readonly logger: Logger;
};

/** The daemon's events about our containers, connected again with a growing pause whenever the stream ends. */
export class ContainerEvents {
  readonly #options: ContainerEventsOptions;
  readonly #listeners = new Set<ContainerEventListener>();
  readonly #closing = new AbortController();
  #running: Promise<void> = Promise.resolve();

  constructor(options: ContainerEventsOptions) {
    this.#options = options;
  }

  /** Resolves when events come or the first attempt has failed; either way it goes on until `close()`. */
  open(): Promise<void> {
    return new Promise((resolve) => {
      this.#running = this.#run(resolve);
    });
  }

  /** Returns what ends the watch. */
  watch(listener: ContainerEventListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
  }

  async #run(attempted: () => void): Promise<void> {
    const { signal } = this.#closing;
    let pauseMs = firstPauseMs;
    for (let attempt = 0; !signal.aborted; attempt++) {
      try {
        await this.#follow(async () => {
          pauseMs = firstPauseMs;
          attempted();
          if (attempt > 0) await this.#tell({ type: "gap" });
        });
      } catch (error) {
        if (!signal.aborted) this.#options.logger.warn({ err: error }, "lost the events of the Docker daemon");
      }
      attempted();
      await delay(pauseMs, undefined, { signal }).catch(() => {});
      pauseMs = Math.min(pauseMs * 2, longestPauseMs);
    }
  }

  async #follow(connected: () => Promise<void>): Promise<void> {
    const { client, labels: extra } = this.#options;
    const { signal } = this.#closing;
    const event = ["start", "kill", "die", "oom", "destroy"];
    const filters = { type: ["container"], event, label: labelFilters(extra) };
    // The daemon answers before it listens to itself; asking for the time since now closes that gap.
    const since = (Date.now() / 1000).toFixed(3);
    await client.connect();
    const stream = await client.use((docker) => docker.getEvents({ since, filters, abortSignal: signal } as object), {
      patient: true,
    });
    const lines = createInterface({ input: stream, signal });
    // The interface does not pass its input's errors on; an ended stream is what matters.
    stream.on("error", () => lines.close());
    await connected();
    for await (const line of lines) {
      const event = parseEvent(line);
      if (event !== undefined) await this.#tell(event);
    }
  }

  async #tell(event: ContainerEvent): Promise<void> {
    for (const listener of this.#listeners) await listener(event);
  }
}

/** One line of the daemon's stream; undefined when it is not about a sandbox. */
export function parseEvent(line: string): ContainerEvent | undefined {
  const { Action, Actor } = JSON.parse(line) as {
    Action?: string;
    Actor?: { Attributes?: Record<string, string> };
  };
  const id = parseSandboxId(Actor?.Attributes?.[labels.id] ?? "");
  if (id === undefined) return undefined;
  if (Action === "die") return { type: "die", id, exitCode: Number(Actor?.Attributes?.exitCode ?? 0) };
  if (Action === "kill") return { type: "kill", id, signal: Actor?.Attributes?.signal ?? "" };
  if (Action === "start" || Action === "oom" || Action === "destroy") return { type: Action, id };
  return undefined;
}
