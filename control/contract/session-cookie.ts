const plainName = "sandboxd-session";
/** Host-only by the browser's own rule: neither an app nor a sibling can set it for a host (RFC 6265bis §4.1.3.2). */
const strictName = `__Host-${plainName}`;
const mention = /sandboxd-session/i;
const ours = /^\s*(?:__host-)?sandboxd-session\s*(?:=|$)/i;

/** So many of one name are looked at. */
const mostTried = 8;

/** A Cookie header taken apart: the sessions in it by the form of their name, in their order, and everything else. */
type Cookies = {
  readonly plain: readonly string[];
  readonly strict: readonly string[];
  readonly rest: string | undefined;
};

/** A browser sends the same header again and again, and each one is looked at twice: it is taken apart once. */
const recent = new Map<string, Cookies>();
let last: { readonly header: string; readonly cookies: Cookies } | undefined;
const keptRecent = 256;
const longestKept = 8192;
const none: readonly string[] = [];

/** The values of the session cookies of a Cookie header, in their order; a page may have planted some of them. */
export function readSessionCookies(header: string | undefined, secure: boolean): readonly string[] {
  const cookies = header === undefined ? undefined : takeApart(header);
  if (cookies === undefined) return none;
  return secure ? cookies.strict : cookies.plain;
}

/** A Cookie header without ours, byte for byte otherwise; undefined when nothing is left. */
export function withoutSessionCookies(header: string): string | undefined {
  const cookies = takeApart(header);
  return cookies === undefined ? header : cookies.rest;
}

/** A Cookie header with nothing but ours. */
export function onlySessionCookies(header: string): string | undefined {
  if (!mention.test(header)) return undefined;
  const found = header.split(";").filter((pair) => ours.test(pair));
  return found.length === 0 ? undefined : found.join(";").trimStart();
}

/** Undefined for a header that has none of ours. */
function takeApart(header: string): Cookies | undefined {
  if (last?.header === header) return last.cookies;
  if (!mention.test(header)) return undefined;
  const cookies = recent.get(header) ?? parse(header);
  if (header.length <= longestKept) last = { header, cookies };
  return cookies;
}

function parse(header: string): Cookies {
  const pairs = header.split(";");
  const others = pairs.filter((pair) => !ours.test(pair));
  const cookies = {
    plain: valuesOf(pairs, `${plainName}=`),
    strict: valuesOf(pairs, `${strictName}=`),
    rest: others.length === 0 ? undefined : others.join(";").trimStart(),
  };
  if (recent.size >= keptRecent) recent.delete(recent.keys().next().value!);
  if (header.length <= longestKept) recent.set(header, cookies);
  return cookies;
}

function valuesOf(pairs: readonly string[], prefix: string): readonly string[] {
  const named = pairs.map((pair) => pair.trim()).filter((pair) => pair.startsWith(prefix));
  return named.slice(0, mostTried).map((pair) => pair.slice(prefix.length));
}

/** Whether a Set-Cookie is for our name, one whose own name is empty and whose value reads like it included. */
export function setsSessionCookie(cookie: string): boolean {
  return mention.test(cookie) && ours.test(cookie.split(";", 1)[0]!.replace(/^[\s=]+/, ""));
}

/** `Set-Cookie` for a session. With TLS it works in a frame of another site, in a jar of that site's own (CHIPS). */
export function sessionCookie(token: string, maxAgeSeconds: number, secure: boolean): string {
  const rest = `=${token}; Path=/; Max-Age=${maxAgeSeconds}; HttpOnly`;
  return secure ? `${strictName}${rest}; Secure; SameSite=None; Partitioned` : `${plainName}${rest}; SameSite=Lax`;
}
