import { type ParsedHost, parseHost } from "#contract/preview-host.ts";
import type { SandboxId } from "#contract/sandbox-id.ts";
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

/** How long a request waits for the first word of control, in a gateway that has just started. */
const firstSnapshotMs = 5_000;
/** How long one for an unknown sandbox waits for control to be heard again, and how many do at once. */
const unheardMs = 1_000;
const mostUnheard = 1_000;

/** Previews that are asked for come again and again: so many spellings of their hosts are kept parsed. */
const keptHosts = 10_000;

/** Tells from the host which sandbox and port a request is for. Unknown ones are answered from memory. */
export function identify({ domain, table, refuser, api }: IdentifyOptions): Middleware {
  const previews = new Map<string, ParsedHost>();
  let unheard = 0;
  return (next) => (exchange) => {
    const host = previews.get(exchange.head.host) ?? parse(exchange.head.host);
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

  function parse(text: string): ParsedHost {
    const host = parseHost(text, domain);
    if (host.kind !== "preview" || !table.get(host.id)) return host;
    if (previews.size >= keptHosts) previews.clear();
    previews.set(text, host);
    return host;
  }

  function find(id: SandboxId, port: number, exchange: Exchange, next: Handler): void {
    // Before the first snapshot nothing is known, so nothing may be called unknown.
    if (!table.loaded) return void whenLoaded(exchange).then(() => table.loaded && find(id, port, exchange, next));
    const route = table.get(id);
    if (route === undefined && !table.inStep && unheard < mostUnheard) return void whenInStep(id, port, exchange, next);
    if (route === undefined || !route.ports.includes(port)) return refuser.refuse(exchange, "not_found");
    exchange.target = { id, port, route };
    next(exchange);
  }

  async function whenLoaded(exchange: Exchange): Promise<void> {
    await happens("loaded", firstSnapshotMs, exchange);
    if (!table.loaded) refuser.refuse(exchange, "control_unavailable", { retryAfterSeconds: 1 });
  }

  /** It may have been made since control was last heard. */
  async function whenInStep(id: SandboxId, port: number, exchange: Exchange, next: Handler): Promise<void> {
    unheard++;
    await happens("inStep", unheardMs, exchange);
    unheard--;
    const route = table.get(id);
    if (route === undefined) return refuser.refuse(exchange, "not_found");
    find(id, port, exchange, next);
  }

  /** Resolves when the table says so, when the time is over, and when nobody waits any more. */
  async function happens(event: "loaded" | "inStep", milliseconds: number, { response }: Exchange): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const patience = setTimeout(resolve, milliseconds);
    table.once(event, resolve);
    response.once("close", resolve);
    await promise;
    clearTimeout(patience);
    table.off(event, resolve);
    response.off("close", resolve);
  }
}
