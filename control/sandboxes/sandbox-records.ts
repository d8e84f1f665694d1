import { EventEmitter } from "node:events";
import type { Endpoint } from "#contract/gateway-api.ts";
import type { SandboxId } from "#contract/sandbox-id.ts";
import type { RouteFeed } from "../routes/route-feed.ts";
import { toRoute } from "../routes/to-route.ts";
import type { Database } from "../sqlite/database.ts";
import type { EventStore, SandboxEvent } from "../sqlite/event-store.ts";
import type { SandboxStore } from "../sqlite/sandbox-store.ts";
import { changed, type Removal, type Sandbox, type SandboxChanges } from "./sandbox.ts";
import type { WakePolicy } from "./wake-policy.ts";

export type SandboxRecordsOptions = {
  readonly database: Database;
  readonly sandboxes: SandboxStore;
  readonly events: EventStore;
  readonly feed: RouteFeed;
  readonly globalPolicy: WakePolicy;
  readonly now: () => number;
};

/**
 * The one place where a sandbox changes: the row and its event in one transaction, then the route, then whoever waits.
 * Emits `change` with the sandbox as it is now, or undefined when it is gone. Whoever calls holds the sandbox's lock.
 */
export class SandboxRecords extends EventEmitter<{ change: [SandboxId, Sandbox | undefined] }> {
  readonly #options: SandboxRecordsOptions;
  /** Where each running sandbox is dialled: the engine's word, never stored. */
  readonly #endpoints = new Map<SandboxId, readonly Endpoint[]>();

  constructor(options: SandboxRecordsOptions) {
    super();
    this.setMaxListeners(0);
    this.#options = options;
  }

  get(id: SandboxId): Sandbox | undefined {
    return this.#options.sandboxes.get(id);
  }

  endpoints(id: SandboxId): readonly Endpoint[] {
    return this.#endpoints.get(id) ?? [];
  }

  /** Takes the engine's word for where a sandbox is dialled, without a change to publish. */
  learnEndpoints(id: SandboxId, endpoints: readonly Endpoint[]): void {
    this.#endpoints.set(id, endpoints);
  }

  /** Publishes what is stored, as it is: the first thing after a start. */
  publishAll(): void {
    for (const sandbox of this.#options.sandboxes.all()) this.#publish(sandbox);
  }

  insert(sandbox: Sandbox, event: SandboxEvent): void {
    const { database, sandboxes, events, now } = this.#options;
    database.transaction(() => {
      sandboxes.put(sandbox);
      sandboxes.putLabels(sandbox);
      events.append(sandbox.id, { ...event, to: sandbox.status }, now());
    });
    this.#publish(sandbox);
  }

  /**
   * Changes what is stored now, and nothing else: what others wrote meanwhile stays. Returns undefined when the sandbox
   * is gone.
   */
  change(
    id: SandboxId,
    changes: SandboxChanges,
    event: SandboxEvent,
    endpoints?: readonly Endpoint[],
  ): Sandbox | undefined {
    const { database, sandboxes, events, now } = this.#options;
    const before = sandboxes.get(id);
    if (before === undefined) return undefined;
    const after = changed(before, changes, now());
    database.transaction(() => {
      sandboxes.put(after);
      if (changes.labels !== undefined) sandboxes.putLabels(after);
      const moved = before.status === after.status ? {} : { from: before.status, to: after.status };
      events.append(id, { ...event, ...moved }, now());
    });
    if (endpoints !== undefined) this.#endpoints.set(id, endpoints);
    this.#publish(after);
    return after;
  }

  /** Changes how long a sandbox is kept awake, which no gateway needs to know. */
  extend(
    id: SandboxId,
    until: Pick<SandboxChanges, "keepaliveUntil" | "leaseUntil">,
    cause: "keepalive" | "lease" | "schedule",
  ): Sandbox | undefined {
    const { database, sandboxes, events, now } = this.#options;
    const before = sandboxes.get(id);
    if (before === undefined) return undefined;
    const after = { ...before, ...until };
    const end = Math.max(...Object.values(until).map((time) => time ?? 0));
    database.transaction(() => {
      sandboxes.put(after);
      events.append(id, { kind: "extend", cause, detail: `until ${new Date(end).toISOString()}` }, now());
    });
    return after;
  }

  /** Takes a sandbox out of sight; its row stays until the removal is complete. */
  beginRemoval(id: SandboxId, how: Removal, event: SandboxEvent): void {
    const { database, sandboxes, events, now } = this.#options;
    const before = sandboxes.get(id);
    if (before === undefined) return;
    database.transaction(() => {
      sandboxes.put({ ...before, removing: how });
      events.append(id, { ...event, from: before.status }, now());
    });
    this.#endpoints.delete(id);
    this.#options.feed.remove(id);
    this.emit("change", id, undefined);
  }

  delete(id: SandboxId): void {
    this.#options.sandboxes.delete(id);
  }

  /** Notes what changed nothing: a refusal, a wake of a sandbox that runs. */
  note(id: SandboxId, event: SandboxEvent): void {
    this.#options.events.append(id, event, this.#options.now());
  }

  #publish(sandbox: Sandbox): void {
    const { feed, globalPolicy } = this.#options;
    feed.publish(toRoute(sandbox, this.endpoints(sandbox.id), globalPolicy));
    this.emit("change", sandbox.id, sandbox);
  }
}
