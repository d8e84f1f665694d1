import { Pool } from "undici";
import type { Exchange, Handler } from "../exchange.ts";
import type { Refuser } from "../refuse.ts";
import { relay } from "../relay.ts";
import { apiHeaders } from "../upstream-headers.ts";

export type ApiHost = Handler & AsyncDisposable;

/**
 * Passes calls of the API host on to control over its unix socket, where every call counts as one from the edge. `Host`
 * stays as the client wrote it.
 */
export function apiHost({ socketPath, refuser }: { readonly socketPath: string; readonly refuser: Refuser }): ApiHost {
  const pool = new Pool("http://control", {
    socketPath,
    connections: null,
    pipelining: 1,
    keepAliveTimeout: 4_000,
    // Control holds some calls open for as long as their callers like.
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  const handle = (exchange: Exchange) => {
    if (exchange.upgrade !== undefined) {
      return refuser.refuse(exchange, "bad_request", { detail: "The API takes no WebSocket here." });
    }
    exchange.redial = () => refuser.refuse(exchange, "control_unavailable", { retryAfterSeconds: 2 });
    const policy = { noindex: true, host: exchange.head.host, isOurs: true };
    relay(exchange, { dispatcher: pool, headers: apiHeaders(exchange), policy, refuser });
  };
  return Object.assign(handle, { [Symbol.asyncDispose]: () => pool.destroy() });
}
