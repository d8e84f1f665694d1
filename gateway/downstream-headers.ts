import { setsSessionCookie } from "#contract/session-cookie.ts";
import { judgedByName } from "./header-names.ts";
import { connectionOptions, isHopByHop } from "./hop-by-hop.ts";
import { mostHeaders } from "./request-head.ts";

/** What the gateway adds to or takes from an app's answers. */
export type DownstreamPolicy = {
  /** Ask search engines to stay away, unless the app itself says something about robots. */
  readonly noindex: boolean;
  /** The host that the client addressed, as written: no cookie may reach beyond it. */
  readonly host: string;
  /** The answer is control's: it may set our session cookie. */
  readonly isOurs?: boolean;
  /** What is said to pages of other origins in place of the app's words, name and value in turn. */
  readonly cors?: readonly string[] | undefined;
};

/**
 * Headers of the gateway's own that an app may not send, so that a client can tell its answers from the app's, and one
 * by which a page could take over a wider scope of its origin than it was served from.
 */
const dropped: ReadonlySet<string> = new Set(["x-sandbox-gateway", "x-sandbox-state", "service-worker-allowed"]);

/** What has to be looked at in a header before it is passed on, by its name. */
type Role = "pass" | "drop" | "allowance" | "content-length" | "set-cookie" | "clear-site-data" | "x-robots-tag";

const roleOf = judgedByName((lower): Role => {
  if (isHopByHop(lower) || dropped.has(lower)) return "drop";
  switch (lower) {
    case "access-control-allow-origin":
    case "access-control-allow-credentials":
      return "allowance";
    case "content-length":
    case "set-cookie":
    case "clear-site-data":
    case "x-robots-tag":
      return lower;
    default:
      return "pass";
  }
});

/**
 * An app's response headers for the client: name and value in turn, in the app's order and spelling, bytes as latin-1.
 * `raw` are the buffers that the HTTP client read. A message without a body (RFC 9110 §6.4.1) keeps its Content-Length
 * only when it answers HEAD or is a 304. Throws when there are too many.
 */
export function downstreamHeaders(raw: readonly Buffer[], status: number, policy: DownstreamPolicy): string[] {
  if (raw.length > 2 * mostHeaders) throw new Error("too many headers");
  const headers: string[] = [];
  const listed = listedByConnection(raw);
  let robots = false;
  for (let index = 0; index < raw.length; index += 2) {
    const { verdict: role, name } = roleOf(raw[index]!.toString("latin1"));
    if (role === "drop" || (listed !== undefined && isListed(name, role, listed))) continue;
    const value = passedValue(role, raw[index + 1]!.toString("latin1"), status, policy);
    if (value === undefined) continue;
    if (role === "x-robots-tag") robots = true;
    headers.push(name, value);
  }
  if (policy.noindex && !robots && status >= 200) headers.push("X-Robots-Tag", "noindex");
  if (policy.cors !== undefined) headers.push(...policy.cors);
  return headers;
}

/** The value of a header for the client, or undefined when it does not get that header. */
function passedValue(role: Role, value: string, status: number, policy: DownstreamPolicy): string | undefined {
  switch (role) {
    case "allowance":
      return policy.cors === undefined ? value : undefined;
    case "content-length":
      return status < 200 || status === 204 ? undefined : value;
    case "set-cookie":
      return !policy.isOurs && setsSessionCookie(value) ? undefined : confinedCookie(value, policy.host);
    case "clear-site-data":
      return confinedClearance(value);
    default:
      return value;
  }
}

function isListed(name: string, role: Role, listed: ReadonlySet<string>): boolean {
  return role !== "content-length" && role !== "set-cookie" && listed.has(name.toLowerCase());
}

function listedByConnection(raw: readonly Buffer[]): ReadonlySet<string> | undefined {
  let connection: string | undefined;
  for (let index = 0; index < raw.length; index += 2) {
    const name = raw[index]!;
    if (name.length !== 10 || name.toString("latin1").toLowerCase() !== "connection") continue;
    const value = raw[index + 1]!.toString("latin1");
    connection = connection === undefined ? value : `${connection},${value}`;
  }
  return connection === undefined ? undefined : connectionOptions(connection);
}

const domainAttribute = /;\s*domain\s*=\s*([^;]*)/gi;

/** A cookie whose Domain reaches beyond its own host becomes a host-only one (RFC 6265 §5.3): no tenant plants cookies on another. */
export function confinedCookie(cookie: string, host: string): string {
  if (!/domain/i.test(cookie)) return cookie;
  const hostname = host.replace(/:[0-9]+$/, "").toLowerCase();
  return cookie.replace(domainAttribute, (attribute, domain: string) =>
    domain.trim().replace(/^\./, "").replace(/^"|"$/g, "").toLowerCase() === hostname ? attribute : "",
  );
}

/** Cookies are cleared for all hosts of a registrable domain (Clear Site Data §4.2.3): that is beyond an app's own host. */
function confinedClearance(directives: string): string {
  const kept = directives.split(",").flatMap((directive) => {
    const name = directive.trim();
    if (name === '"*"') return ['"cache"', '"storage"', '"executionContexts"'];
    return name === '"cookies"' || name === '"clientHints"' ? [] : [name];
  });
  return kept.join(", ");
}
