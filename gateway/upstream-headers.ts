import { readBearer } from "#contract/credentials.ts";
import { onlySessionCookies, withoutSessionCookies } from "#contract/session-cookie.ts";
import { withoutQueryTokens } from "#contract/token-query.ts";
import { withinCookieLimit } from "./cookie-limit.ts";
import type { Exchange, Target } from "./exchange.ts";
import { forwardingHeaders, pushForwardedHeaders } from "./forwarded-headers.ts";
import { judgedByName } from "./header-names.ts";
import { connectionOptions, isHopByHop } from "./hop-by-hop.ts";

/** Never passed on as the client sent them: we set them, or they are nobody's business behind the edge. */
const ours: ReadonlySet<string> = new Set([
  ...forwardingHeaders,
  "host",
  "content-length",
  "expect",
  "x-sandbox-external-user-id",
]);

const identityHeader = "X-Sandbox-External-User-Id";
const tokenHeader = "x-preview-token";

/** Connection cannot list these away: what the app needs to understand the request (RFC 9110 §7.6.1). */
const endToEnd: ReadonlySet<string> = new Set([
  "host",
  "cookie",
  "authorization",
  "content-type",
  "origin",
  "sec-websocket-key",
]);

/** What Next.js serves for its own use, below any base path. It refuses a foreign `Origin` there as on an upgrade. */
const devServerPaths = /^[^?]*\/(?:_next\/|__nextjs_)/;

/**
 * The request's headers for the app, name and value in turn, in the client's order and spelling. `Host` comes first and
 * follows the sandbox's policy; the `Origin` of an upgrade, and of what a page asks of its development server, follows it
 * when it named the same host.
 */
export function upstreamHeaders(exchange: Exchange, target: Target): string[] {
  const publicHost = exchange.head.host;
  const host = upstreamHost(target, publicHost);
  const { request, upgrade, head } = exchange;
  const isForDevServer =
    upgrade !== undefined || (request.headers.origin !== undefined && devServerPaths.test(head.target));
  const rewrite = isForDevServer && host !== publicHost;
  const headers = passedHeaders(exchange, host, (role, value) => {
    if (role === "origin") return rewrite ? upstreamOrigin(value, publicHost, host) : value;
    return withoutCredential(role, value);
  });
  if (exchange.grant?.subject !== undefined) headers.push(identityHeader, headerBytes(exchange.grant.subject));
  return headers;
}

/**
 * The request's headers for control: as for an app, with the host that the client wrote and the credentials, since some
 * calls there are about them. Cookies of an app's never matter there, however many of them a page has planted.
 */
export function apiHeaders(exchange: Exchange): string[] {
  return passedHeaders(exchange, exchange.head.host, (role, value) =>
    role === "cookie" ? onlySessionCookies(value) : value,
  );
}

/** What has to be looked at in a header before it is passed on, by its name. */
type Role = "pass" | "drop" | "origin" | "cookie" | "authorization" | "referer" | "token";

const roleOf = judgedByName((lower): Role => {
  // Apps read `X_Forwarded_For` and `X-Forwarded-For` from the same variable (RFC 3875 §4.1.18): both spellings are one name.
  const dashed = lower.replaceAll("_", "-");
  if (ours.has(dashed) || isHopByHop(dashed)) return "drop";
  if (dashed === tokenHeader) return "token";
  switch (lower) {
    case "origin":
    case "cookie":
    case "authorization":
    case "referer":
      return lower;
    default:
      return "pass";
  }
});

/** A header's value without what lets its sender in, byte for byte otherwise; undefined when nothing is left. */
function withoutCredential(role: Role, value: string): string | undefined {
  switch (role) {
    case "cookie":
      return cookiesFor(value);
    case "authorization":
      return readBearer(value) === undefined ? value : undefined;
    case "referer":
      return value.includes("?") ? withoutQueryTokens(value) : value;
    case "token":
      return undefined;
    default:
      return value;
  }
}

function cookiesFor(header: string): string | undefined {
  const others = withoutSessionCookies(header);
  return others && withinCookieLimit(others);
}

/** Text beyond ASCII as the bytes of its UTF-8, which is how headers are written here. */
function headerBytes(text: string): string {
  return /[^\x00-\x7f]/.test(text) ? Buffer.from(text).toString("latin1") : text;
}

function passedHeaders(
  exchange: Exchange,
  host: string,
  rewrite: (role: Role, value: string) => string | undefined,
): string[] {
  const { request, head, client } = exchange;
  const { rawHeaders } = request;
  const listed = connectionOptions(request.headers.connection);
  const headers = ["Host", host];
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const { verdict: role, name } = roleOf(rawHeaders[index]!);
    if (role === "drop" || (listed.size > 0 && isListed(name, listed))) continue;
    const value = role === "pass" ? rawHeaders[index + 1]! : rewrite(role, rawHeaders[index + 1]!);
    if (value !== undefined) headers.push(name, value);
  }
  pushForwardedHeaders(client, headers);
  if (head.body.kind === "length") headers.push("Content-Length", String(head.body.length));
  return headers;
}

function isListed(name: string, listed: ReadonlySet<string>): boolean {
  const lower = name.toLowerCase();
  return listed.has(lower) && !endToEnd.has(lower);
}

function upstreamHost({ route, port }: Target, publicHost: string): string {
  const policy = route.hostPolicyByPort[port] ?? route.hostPolicy;
  return policy === "preserve" ? publicHost : `localhost:${port}`;
}

function upstreamOrigin(origin: string, publicHost: string, host: string): string {
  const match = /^https?:\/\/(.+)$/i.exec(origin);
  return match?.[1]?.toLowerCase() === publicHost.toLowerCase() ? `http://${host}` : origin;
}
