import type { Middleware } from "../exchange.ts";
import { classify as classOf } from "../request-class.ts";

/** Tells what kind of request it is, which decides whether it may wake its sandbox and keep it awake. */
export function classify(): Middleware {
  return (next) => (exchange) => {
    exchange.class = classOf(exchange.request, exchange.head.target, exchange.upgrade !== undefined);
    next(exchange);
  };
}
