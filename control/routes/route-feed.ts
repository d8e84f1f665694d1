import type { Route, RouteMessage } from "#contract/gateway-api.ts";
import type { SandboxId } from "#contract/sandbox-id.ts";

/** Takes one NDJSON line of the routes stream. */
export type FeedSink = (line: string) => void;

export type FeedPosition = { readonly epoch: string; readonly since: number };

type Change = { readonly revision: number; readonly line: string };

/** So many changes are kept for watchers that come back. */
const defaultKept = 10_000;

/**
 * Every sandbox's route in memory, and the changes to them in their order. Revisions follow each other one by one within
 * an epoch, which is one start of control.
 */
export class RouteFeed {
  readonly epoch: string;
  readonly #routes = new Map<SandboxId, Route>();
  readonly #sinks = new Set<FeedSink>();
  readonly #kept: number;
  #changes: Change[] = [];
  #revision = 0;

  constructor(epoch: string, { kept = defaultKept }: { kept?: number } = {}) {
    this.epoch = epoch;
    this.#kept = kept;
  }

  get revision(): number {
    return this.#revision;
  }

  get(id: SandboxId): Route | undefined {
    return this.#routes.get(id);
  }

  publish(route: Route): void {
    this.#routes.set(route.id, route);
    this.#send({ type: "change", revision: this.#revision + 1, route });
  }

  remove(id: SandboxId): void {
    if (this.#routes.delete(id)) this.#send({ type: "removal", revision: this.#revision + 1, id });
  }

  /**
   * Sends what a watcher at this position misses, or a snapshot when that is no longer known, and then every change.
   * Returns what ends it.
   */
  subscribe(sink: FeedSink, position?: FeedPosition): () => void {
    const missed = position === undefined ? undefined : this.#since(position);
    if (missed === undefined) sink(this.#snapshot());
    else for (const { line } of missed) sink(line);
    if (missed?.length === 0) sink(this.heartbeat());
    this.#sinks.add(sink);
    return () => this.#sinks.delete(sink);
  }

  heartbeat(): string {
    return toLine({ type: "heartbeat", revision: this.#revision });
  }

  #snapshot(): string {
    const routes = [...this.#routes.values()];
    return toLine({ type: "snapshot", epoch: this.epoch, revision: this.#revision, routes });
  }

  #since({ epoch, since }: FeedPosition): readonly Change[] | undefined {
    if (epoch !== this.epoch || since > this.#revision) return undefined;
    const oldest = this.#changes[0]?.revision ?? this.#revision + 1;
    if (since + 1 < oldest) return undefined;
    return this.#changes.slice(since + 1 - oldest);
  }

  #send(message: Extract<RouteMessage, { type: "change" | "removal" }>): void {
    this.#revision = message.revision;
    const line = toLine(message);
    this.#changes.push({ revision: message.revision, line });
    // Trimmed in large steps: a shift for every change would move the whole list each time.
    if (this.#changes.length > this.#kept * 2) this.#changes = this.#changes.slice(-this.#kept);
    for (const sink of this.#sinks) sink(line);
  }
}

function toLine(message: RouteMessage): string {
  return `${JSON.stringify(message)}\n`;
}
