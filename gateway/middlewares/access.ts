import type { Middleware } from "../exchange.ts";
import type { Refuser } from "../refuse.ts";

/** Lets nobody into a private preview: there is no credential that could be accepted yet. */
export function access({ refuser }: { readonly refuser: Refuser }): Middleware {
  return (next) => (exchange) => {
    if (exchange.target!.route.visibility === "public") return next(exchange);
    refuser.refuse(exchange, "unauthorized", { reason: "no_token" });
  };
}
