import type { ActivityLedger } from "../activity.ts";
import type { Exchange, JoinedExchange } from "../exchange.ts";
import type { Refuser } from "../refuse.ts";
import { breakOff } from "../relay.ts";
import type { RoutingTable } from "../routing-table.ts";
import type { Admission } from "./admission.ts";

export type EvictionsOptions = {
  readonly admission: Admission;
  readonly table: RoutingTable;
  readonly ledger: ActivityLedger;
  /** Open streams that are not counted as activity. */
  readonly streams: ReadonlySet<Exchange>;
  readonly refuser: Refuser;
};

/** How often sockets are looked for whose credential has expired. */
const expiryEveryMs = 5_000;

/**
 * Ends what is open when the reason for which it was let in is gone: a revocation, a removed key, a sandbox made private
 * or given to somebody else. A credential that expires ends sockets alone: a request that is under way may finish.
 */
export class Evictions {
  readonly #options: EvictionsOptions;
  readonly #timer: NodeJS.Timeout;

  constructor(options: EvictionsOptions) {
    this.#options = options;
    const { admission, table, ledger } = options;
    const sweep = () => this.#check([...ledger.openExchanges(), ...options.streams]);
    admission.on("change", sweep);
    table.on("route", (id) => {
      if (table.get(id)?.visibility !== "private") return;
      const streams = [...options.streams].filter(({ target }) => target?.id === id);
      this.#check([...ledger.openExchanges(id), ...streams]);
    });
    this.#timer = setInterval(sweep, expiryEveryMs);
    this.#timer.unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #check(exchanges: readonly (Exchange | JoinedExchange)[]): void {
    const { table, admission } = this.#options;
    const now = Date.now();
    for (const exchange of exchanges) {
      const route = table.get(exchange.target!.id);
      // A sandbox that is gone ends its exchanges in its own way.
      if (route === undefined || route.visibility === "public") continue;
      const isExpired = exchange.grant !== undefined && exchange.grant.expiresAt <= now;
      if (isExpired && exchange.upgrade === undefined) continue;
      if (!admission.mayStay(exchange.grant, { ...exchange.target!, route })) this.#end(exchange);
    }
  }

  #end(exchange: Exchange | JoinedExchange): void {
    const { activity, upgrade } = exchange;
    if (upgrade !== undefined && activity?.end !== undefined) return activity.end();
    if (!("response" in exchange)) return;
    // What is still held has not been answered, and nothing of it went to the app.
    if (activity?.forwarded || exchange.response.headersSent) return breakOff(exchange);
    this.#options.refuser.refuse(exchange, "unauthorized", { reason: "revoked" });
  }
}
