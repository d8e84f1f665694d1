import { EventEmitter } from "node:events";
import type { Route, TableMessage } from "#contract/gateway-api.ts";
import type { SandboxId } from "#contract/sandbox-id.ts";

/**
 * What the gateway remembers of every sandbox. Control is its only source; while control is away the last word stands.
 * Emits `route` with an id for each change of that sandbox's entry (a removal included), and `loaded` once, when the
 * first snapshot is in; `inStep` when control is heard again.
 */
export class RoutingTable extends EventEmitter<{ route: [SandboxId]; loaded: []; inStep: [] }> {
  #routes = new Map<SandboxId, Route>();
  #epoch = "";
  #revision = 0;
  #inStep = false;

  constructor() {
    super();
    // One listener for every held request.
    this.setMaxListeners(0);
  }

  get epoch(): string {
    return this.#epoch;
  }

  /** The revision up to which the table is complete. */
  get revision(): number {
    return this.#revision;
  }

  /** Whether a snapshot was ever applied: before that, an unknown id means nothing. */
  get loaded(): boolean {
    return this.#epoch !== "";
  }

  /** Whether control is heard now: while it is not, there may be sandboxes that the table does not know. */
  get inStep(): boolean {
    return this.#inStep;
  }

  /** Control is not heard any more. */
  fallBehind(): void {
    this.#inStep = false;
  }

  get size(): number {
    return this.#routes.size;
  }

  get(id: SandboxId): Route | undefined {
    return this.#routes.get(id);
  }

  ids(): IterableIterator<SandboxId> {
    return this.#routes.keys();
  }

  /** Applies a message of the watch. A gap in the revisions is the watch's matter: it asks for a snapshot then. */
  apply(message: TableMessage): void {
    this.#apply(message);
    if (this.#inStep) return;
    this.#inStep = true;
    this.emit("inStep");
  }

  #apply(message: TableMessage): void {
    switch (message.type) {
      case "snapshot":
        return this.#replace(message);
      case "change":
        this.#revision = message.revision;
        return this.#set(message.route);
      case "removal":
        this.#revision = message.revision;
        if (this.#routes.delete(message.id)) this.emit("route", message.id);
        return;
      case "heartbeat":
        return;
      default: {
        const never: never = message;
        throw new Error(`unknown message: ${JSON.stringify(never)}`);
      }
    }
  }

  /**
   * Takes an entry that came outside the watch, such as a wake's answer. It says nothing of a sandbox that the watch does
   * not know: it may have been removed meanwhile.
   */
  learn(route: Route): void {
    if (this.#routes.has(route.id)) this.#set(route);
  }

  /** An entry that is older than the known one changes nothing. */
  #set(route: Route): void {
    const known = this.#routes.get(route.id);
    if (known !== undefined && known.generation > route.generation) return;
    this.#routes.set(route.id, route);
    this.emit("route", route.id);
  }

  #replace({ epoch, revision, routes }: Extract<TableMessage, { type: "snapshot" }>): void {
    const before = this.#routes;
    const first = !this.loaded;
    this.#routes = new Map(routes.map((route) => [route.id, route]));
    this.#epoch = epoch;
    this.#revision = revision;
    for (const id of before.keys()) if (!this.#routes.has(id)) this.emit("route", id);
    for (const [id, route] of this.#routes) if (before.get(id)?.generation !== route.generation) this.emit("route", id);
    if (first) this.emit("loaded");
  }
}
