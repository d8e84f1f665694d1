import type { Exchange, Handler } from "../exchange.ts";
import { openConnection } from "../own-connection.ts";
import type { Refuser } from "../refuse.ts";
import { relay } from "../relay.ts";
import { apiHeaders } from "../upstream-headers.ts";
import { UpstreamPool } from "../upstream-pool.ts";
import { negotiate } from "./tunnel.ts";

export type ApiHost = Handler & AsyncDisposable;

export type ApiHostOptions = {
  readonly socketPath: string;
  readonly refuser: Refuser;
  readonly connectTimeoutMs: number;
  readonly bodyIdleSeconds: number;
  /** The ways to end each open tunnel, kept by whoever stops the gateway. */
  readonly open: Set<() => void>;
};

/** A terminal's sandbox is woken before its upgrade is answered, and control bounds that. */
const upgradeSeconds = 300;

/**
 * Passes calls of the API host on to control over its unix socket, where every call counts as one from the edge. `Host`
 * stays as the client wrote it.
 */
export function apiHost(options: ApiHostOptions): ApiHost {
  const { socketPath, refuser } = options;
  const pool = new UpstreamPool("http://control", {
    socketPath,
    keepAliveTimeout: 4_000,
    // Control holds some calls open for as long as their callers like.
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  const handle = (exchange: Exchange) => {
    exchange.redial = () => refuser.refuse(exchange, "control_unavailable", { retryAfterSeconds: 2 });
    if (exchange.upgrade !== undefined) return upgrade(exchange, options);
    const policy = { noindex: true, host: exchange.head.host, isOurs: true };
    relay(exchange, { dispatcher: pool, headers: apiHeaders(exchange), policy, refuser });
  };
  return Object.assign(handle, { [Symbol.asyncDispose]: () => pool.destroy() });
}

/** Carries a terminal's WebSocket. */
function upgrade(exchange: Exchange, { socketPath, refuser, open, ...bounds }: ApiHostOptions): void {
  const headers = apiHeaders(exchange);
  headers.push("Connection", "Upgrade", "Upgrade", exchange.request.headers.upgrade!);
  const upstream = openConnection(
    { path: socketPath },
    {
      ...{ ...bounds, method: "GET", path: exchange.head.target, headers },
      headTimeoutSeconds: upgradeSeconds,
      isCurrent: () => true,
    },
  );
  negotiate(exchange, upstream, { refuser, open, noindex: () => true, isLeaving: () => false });
  upstream.request.end();
}
