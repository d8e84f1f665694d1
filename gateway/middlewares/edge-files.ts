import type { Exchange, Middleware } from "../exchange.ts";
import { favicon } from "../pages/favicon.ts";
import { answer } from "../refuse.ts";

const robots = "User-agent: *\nDisallow: /\n";

/** While a sandbox is not running, answers what browsers and crawlers ask of every host, so that it sleeps on. */
export function edgeFiles(): Middleware {
  return (next) => (exchange) => {
    const { request, head, target } = exchange;
    const isRead = request.method === "GET" || request.method === "HEAD";
    if (!isRead || exchange.upgrade !== undefined || target!.route.status === "running") return next(exchange);
    const path = head.target.split("?", 1)[0];
    if (path === "/robots.txt") return file(exchange, "robots", "text/plain; charset=utf-8", robots);
    if (path === "/favicon.ico") return file(exchange, "favicon", "image/svg+xml", favicon);
    next(exchange);
  };
}

function file(exchange: Exchange, code: string, type: string, body: string | Buffer): void {
  answer(exchange, code, 200, ["Content-Type", type], body);
}
