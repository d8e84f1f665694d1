import { gatewayHealth } from "#contract/gateway-health.ts";
import type { Middleware } from "../exchange.ts";
import { answer } from "../refuse.ts";

/**
 * Tells whoever spreads requests over several gateways whether this one takes more: not before it knows its sandboxes,
 * and not once it is about to leave.
 */
export function health({ takesRequests }: { readonly takesRequests: () => boolean }): Middleware {
  return (next) => (exchange) => {
    const { host, target } = exchange.head;
    if (host !== gatewayHealth.host || target !== gatewayHealth.path) return next(exchange);
    const [status, text] = takesRequests() ? [200, "ok"] : [503, "leaving, or not ready yet"];
    answer(exchange, "health", status, ["Content-Type", "text/plain; charset=utf-8"], text);
  };
}
