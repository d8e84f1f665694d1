import type { CorsPolicy } from "#contract/cors.ts";
import type { Exchange, Middleware } from "../exchange.ts";
import { answer } from "../refuse.ts";

/**
 * Speaks for a sandbox whose owner said which other origins' pages may call it (Fetch §3.2). A preflight carries no
 * credential, so it is answered here, before anybody asks for one and without a wake; every other answer says the same.
 */
export function cors(): Middleware {
  return (next) => (exchange) => {
    const policy = exchange.target!.route.cors;
    const { origin } = exchange.request.headers;
    if (policy === null || exchange.upgrade !== undefined) return next(exchange);
    const allowed = origin !== undefined && isAllowed(origin, policy) ? origin : undefined;
    if (exchange.class === "preflight") return answerPreflight(exchange, policy, allowed);
    // To whoever says no origin as well: a cache may keep that answer for those who do.
    exchange.cors = [...(allowed === undefined ? [] : allowance(allowed, policy)), "Vary", "Origin"];
    next(exchange);
  };
}

function isAllowed(origin: string, { origins }: CorsPolicy): boolean {
  return origins.includes("*") || origins.includes(origin.toLowerCase());
}

function allowance(origin: string, { origins, credentials = false }: CorsPolicy): string[] {
  const headers = ["Access-Control-Allow-Origin", origins.includes("*") ? "*" : origin];
  if (credentials) headers.push("Access-Control-Allow-Credentials", "true");
  return headers;
}

/** Without the headers that allow it the browser refuses on its own. */
function answerPreflight(exchange: Exchange, policy: CorsPolicy, origin: string | undefined): void {
  const { headers } = exchange.request;
  const asked = (name: string) => headers[`access-control-request-${name}`] as string | undefined;
  const vary = ["Vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"];
  if (origin === undefined) return answer(exchange, "preflight", 204, vary);
  const methods = policy.methods?.join(", ") ?? asked("method");
  const names = policy.headers?.join(", ") ?? asked("headers");
  const allowed = allowance(origin, policy);
  if (methods) allowed.push("Access-Control-Allow-Methods", methods);
  if (names) allowed.push("Access-Control-Allow-Headers", names);
  if (policy.maxAgeSeconds !== undefined) allowed.push("Access-Control-Max-Age", String(policy.maxAgeSeconds));
  answer(exchange, "preflight", 204, [...allowed, ...vary]);
}
