const plainName = "sandboxd-session";
/** Host-only by the browser's own rule: neither an app nor a sibling can set it for a host (RFC 6265bis §4.1.3.2). */
const strictName = `__Host-${plainName}`;
const mention = /sandboxd-session/i;
const ours = /^\s*(?:__host-)?sandboxd-session\s*(?:=|$)/i;

/** So many of one name are looked at. */
const mostTried = 8;

/** The values of the session cookies of a Cookie header, in their order; a page may have planted some of them. */
export function readSessionCookies(header: string | undefined, secure: boolean): readonly string[] {
  if (header === undefined || !mention.test(header)) return [];
  const prefix = `${secure ? strictName : plainName}=`;
  const values: string[] = [];
  for (const pair of header.split(";")) {
    const trimmed = pair.trim();
    if (trimmed.startsWith(prefix) && values.length < mostTried) values.push(trimmed.slice(prefix.length));
  }
  return values;
}

/** A Cookie header without ours, byte for byte otherwise; undefined when nothing is left. */
export function withoutSessionCookies(header: string): string | undefined {
  if (!mention.test(header)) return header;
  const rest = header.split(";").filter((pair) => !ours.test(pair));
  return rest.length === 0 ? undefined : rest.join(";").trimStart();
}

/** A Cookie header with nothing but ours. */
export function onlySessionCookies(header: string): string | undefined {
  if (!mention.test(header)) return undefined;
  const found = header.split(";").filter((pair) => ours.test(pair));
  return found.length === 0 ? undefined : found.join(";").trimStart();
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
