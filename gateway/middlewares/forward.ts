import type { Handler } from "../exchange.ts";
import type { Refuser } from "../refuse.ts";
import { relay } from "../relay.ts";
import { upstreamHeaders } from "../upstream-headers.ts";
import type { UpstreamPools } from "../upstream-pools.ts";

export type ForwardOptions = {
  readonly pools: UpstreamPools;
  readonly refuser: Refuser;
  /** Carries upgrades. */
  readonly tunnel: Handler;
  /** Carries requests with a body that waits for `100 Continue`. */
  readonly expectContinue: Handler;
};

/** The end of the chain: passes the exchange to the app and its answer back. */
export function forward({ pools, refuser, tunnel, expectContinue }: ForwardOptions): Handler {
  return (exchange) => {
    if (exchange.activity) exchange.activity.forwarded = true;
    if (exchange.upgrade !== undefined) return tunnel(exchange);
    if (exchange.expectsContinue && exchange.head.body.kind !== "none") return expectContinue(exchange);
    const target = exchange.target!;
    const dispatcher = pools.for(target);
    if (dispatcher === undefined) return exchange.redial!(exchange);
    const noindex = target.route.wakePolicy.noindex ?? true;
    const policy = { noindex, host: exchange.head.host, cors: exchange.cors };
    relay(exchange, { dispatcher, headers: upstreamHeaders(exchange, target), policy, refuser });
  };
}
