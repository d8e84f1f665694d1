import { parseHost } from "#contract/preview-host.ts";
import type { Exchange, Handler, Middleware } from "../exchange.ts";
import type { Refuser } from "../refuse.ts";
import type { RoutingTable } from "../routing-table.ts";

export type IdentifyOptions = {
  readonly domain: string;
  readonly table: RoutingTable;
  readonly refuser: Refuser;
  /** Takes what is addressed to the API host. */
  readonly api: Handler;
};

/** Tells from the host which sandbox and port a request is for. Unknown ones are answered from memory. */
export function identify({ domain, table, refuser, api }: IdentifyOptions): Middleware {
  return (next) => (exchange) => {
    const host = parseHost(exchange.head.host, domain);
    switch (host.kind) {
      case "preview":
        return find(host.id, host.port, exchange, next);
      case "api":
        return api(exchange);
      case "unknown":
        return refuser.refuse(exchange, "not_found");
      case "outside":
        return refuser.refuse(exchange, "misdirected");
      case "malformed":
        return refuser.refuse(exchange, "bad_request", { detail: "The Host header is not a host and port." });
      default: {
        const never: never = host;
        throw new Error(`unknown host: ${JSON.stringify(never)}`);
      }
    }
  };

  function find(id: Parameters<RoutingTable["get"]>[0], port: number, exchange: Exchange, next: Handler): void {
    const route = table.get(id);
    if (route === undefined) {
      // Before the first snapshot nothing is known, so nothing may be called unknown.
      return refuser.refuse(
        exchange,
        table.loaded ? "not_found" : "control_unavailable",
        table.loaded ? {} : { retryAfterSeconds: 1 },
      );
    }
    if (!route.ports.includes(port)) return refuser.refuse(exchange, "not_found");
    exchange.target = { id, port, route };
    next(exchange);
  }
}
