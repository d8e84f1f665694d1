/**
 * Headers that speak of one connection and end with it (RFC 9110 §7.6.1), and those that frame a message: the
 * connection to the other side regenerates what it needs.
 */
const hopByHop: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "proxy-authenticate",
  "proxy-authorization",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "http2-settings",
]);

const nothing: ReadonlySet<string> = new Set();
/** The one token that a Connection header lists nearly always: no set is made for it. */
const persistence = /^(?:keep-alive|close|upgrade)$/i;

export function isHopByHop(lowerName: string): boolean {
  return hopByHop.has(lowerName);
}

/**
 * The names that Connection headers list, in lower case (RFC 9110 §7.6.1). `connection` has the values of all of them.
 */
export function connectionOptions(connection: string | undefined): ReadonlySet<string> {
  if (connection === undefined || persistence.test(connection)) return nothing;
  return new Set(
    connection
      .toLowerCase()
      .split(",", 100)
      .map((token) => token.trim()),
  );
}
