import { buildConnector } from "undici";
import type { SandboxId } from "#contract/sandbox-id.ts";
import type { Target } from "./exchange.ts";
import { hearOut } from "./hear-out.ts";
import { UpstreamPool } from "./upstream-pool.ts";

type Pools = { readonly run: number; readonly byPort: Map<number, UpstreamPool> };

/** The largest head that an app may answer with, in bytes; Traefik takes as much. */
export const maxResponseHead = 1 << 20;

/**
 * Keep-alive connections to sandboxes. They belong to one run of one sandbox: the next container may have another
 * address, and another sandbox may have got this one.
 */
export class UpstreamPools {
  readonly #connectTimeoutMs: number;
  readonly #pools = new Map<SandboxId, Pools>();

  constructor({ connectTimeoutMs }: { readonly connectTimeoutMs: number }) {
    this.#connectTimeoutMs = connectTimeoutMs;
  }

  /** The pool of this port, or undefined when the route has no endpoint for it. */
  for({ id, port, route }: Target): UpstreamPool | undefined {
    let pools = this.#pools.get(id);
    if (pools === undefined || pools.run !== route.run) {
      this.#drop(id);
      pools = { run: route.run, byPort: new Map() };
      this.#pools.set(id, pools);
    }
    let pool = pools.byPort.get(port);
    if (pool === undefined) {
      const endpoint = route.endpoints.find((each) => each.port === port);
      if (endpoint === undefined) return undefined;
      pool = this.#open(`http://${urlAddress(endpoint.address)}:${endpoint.upstreamPort}`);
      pools.byPort.set(port, pool);
    }
    return pool;
  }

  /** Ends every connection to a sandbox but those to its present run: each of them, in use, idle or still being made. */
  keepOnly(id: SandboxId, run: number | undefined): void {
    const pools = this.#pools.get(id);
    if (pools !== undefined && pools.run !== run) this.#drop(id);
  }

  /** Of whatever run. */
  #drop(id: SandboxId): void {
    const pools = this.#pools.get(id);
    if (pools === undefined) return;
    this.#pools.delete(id);
    for (const pool of pools.byPort.values()) void pool.destroy();
  }

  async close(): Promise<void> {
    const pools = [...this.#pools.values()].flatMap(({ byPort }) => [...byPort.values()]);
    this.#pools.clear();
    await Promise.all(pools.map((pool) => pool.destroy()));
  }

  #open(origin: string): UpstreamPool {
    return new UpstreamPool(origin, {
      connect: reuseTellingConnector(this.#connectTimeoutMs),
      // Whatever stands still is seen by `watchIdle`.
      headersTimeout: 0,
      bodyTimeout: 0,
      maxHeaderSize: maxResponseHead,
      // Node apps close idle connections after five seconds: be gone before that.
      keepAliveTimeout: 4_000,
      keepAliveMaxTimeout: 60_000,
      allowH2: false,
    });
  }
}

function urlAddress(address: string): string {
  return address.includes(":") ? `[${address}]` : address;
}

/** A connection's error, with what tells a connection that already carried an answer from a fresh one. */
export type ConnectionError = Error & { code?: string; carriedAnswer?: boolean; socket?: { bytesRead?: number } };

/** Dials, and looks at each error of a connection before the HTTP client does. */
function reuseTellingConnector(timeout: number): buildConnector.connector {
  const connect = buildConnector({ timeout, allowH2: false });
  return (options, callback) =>
    connect(options, (error, socket) => {
      if (error !== null || socket === null) return callback(error ?? new Error("no socket"), null);
      socket.prependListener("error", (failure: ConnectionError) => {
        // A reset does not say whether the connection had been used before: note it while the socket still knows.
        failure.carriedAnswer = socket.bytesRead > 0;
        // The client takes an ECONNRESET for the end of a body that has no length: a cut body would look whole.
        if (failure.code === "ECONNRESET") failure.code = "UND_ERR_SOCKET";
      });
      hearOut(socket);
      callback(null, socket);
    });
}
