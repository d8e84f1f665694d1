import type { Handler } from "../exchange.ts";
import type { Refuser } from "../refuse.ts";
import { relay } from "../relay.ts";
import { upstreamHeaders } from "../upstream-headers.ts";
import type { UpstreamPools } from "../upstream-pools.ts";

export type ForwardOptions = {
  readonly pools: UpstreamPools;
  readonly refuser: Refuser;
  /** An app gets so long to begin its answer. */
  readonly headTimeoutSeconds: number;
  /** In the middle of a body nothing may move for so long. */
  readonly bodyIdleSeconds: number;
  /** Carries upgrades. */
  readonly tunnel: Handler;
  /** Carries requests with a body that waits for `100 Continue`. */
  readonly expectContinue: Handler;
};

/** The end of the chain: passes the exchange to the app and its answer back. */
export function forward(options: ForwardOptions): Handler {
  const { pools, refuser, tunnel, expectContinue } = options;
  const patience = { headMs: options.headTimeoutSeconds * 1000, bodyMs: options.bodyIdleSeconds * 1000 };
  return (exchange) => {
    if (exchange.activity) exchange.activity.forwarded = true;
    if (exchange.upgrade !== undefined) return tunnel(exchange);
    if (exchange.expectsContinue && exchange.head.body.kind !== "none") return expectContinue(exchange);
    const target = exchange.target!;
    const dispatcher = pools.for(target);
    if (dispatcher === undefined) return exchange.redial!(exchange);
    const noindex = target.route.wakePolicy.noindex ?? true;
    const policy = { noindex, host: exchange.head.host, cors: exchange.cors };
    relay(exchange, { dispatcher, headers: upstreamHeaders(exchange, target), policy, refuser, patience });
  };
}
