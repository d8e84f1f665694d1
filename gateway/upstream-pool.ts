import { Client, Dispatcher, errors } from "undici";

/** So many that are idle are kept, connected or not. */
const keptIdle = 64;

/**
 * One connection, made when it is first needed, and whether it waits for a request. Beside the client and not a part of it:
 * undici's code is faster while all clients of a process have one shape.
 */
type Connection = { readonly client: Client; isIdle: boolean };

/** Hears of one exchange, and may know when nothing more will come of it. */
export type UpstreamHandler = Dispatcher.DispatchHandler & { readonly isOver?: boolean };

/**
 * Connections to one origin, each with one request at a time, as many as are asked for. What undici's own Pool does, but
 * without a search among all of them for every request: the connection that was used last is taken first, and the ones
 * that nobody needs any more end by themselves.
 */
export class UpstreamPool extends Dispatcher {
  readonly #origin: string;
  readonly #options: Client.Options;
  readonly #connections = new Set<Connection>();
  readonly #idle: Connection[] = [];
  #destroyed = false;

  constructor(origin: string, options: Client.Options) {
    super();
    this.#origin = origin;
    this.#options = { ...options, pipelining: 1 };
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: UpstreamHandler): boolean {
    if (this.#destroyed) {
      // Whoever asks with a pool in hand that was dropped meanwhile learns of it as of a connection that ended.
      handler.onResponseError!(null as never, new errors.ClientDestroyedError());
      return true;
    }
    const connection = this.#idle.pop() ?? this.#open();
    connection.isIdle = false;
    // A request that was refused before it was sent leaves its connection free, and no event tells so.
    if (connection.client.dispatch(options, handler) || handler.isOver) this.#release(connection);
    return true;
  }

  override async destroy(): Promise<void> {
    this.#destroyed = true;
    this.#idle.length = 0;
    await Promise.all([...this.#connections].map(({ client }) => client.destroy()));
  }

  #open(): Connection {
    const client = new Client(this.#origin, this.#options);
    const connection = { client, isIdle: false };
    this.#connections.add(connection);
    client.on("drain", () => this.#release(connection));
    client.on("disconnect", () => this.#forget(connection));
    return connection;
  }

  #release(connection: Connection): void {
    if (connection.isIdle || this.#destroyed) return;
    connection.isIdle = true;
    this.#idle.push(connection);
  }

  /** One that ended while it was idle dials again when it is needed; a crowd that left is not kept. */
  #forget(connection: Connection): void {
    if (!connection.isIdle || this.#destroyed || this.#idle.length <= keptIdle) return;
    this.#idle.splice(this.#idle.indexOf(connection), 1);
    this.#connections.delete(connection);
    void connection.client.destroy();
  }
}
