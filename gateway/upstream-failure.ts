import type { RefusalCode } from "#contract/error-codes.ts";
import type { ConnectionError } from "./upstream-pools.ts";

/** What a failed exchange with an app means. */
export type UpstreamFailure =
  /** Nobody listens, or the connection could not be made: not a byte went out. */
  | { readonly kind: "unreachable" }
  /** The connection had been kept alive and was closed as the request went out (RFC 9112 §9.3.1). */
  | { readonly kind: "stale-connection" }
  | { readonly kind: "refused"; readonly code: RefusalCode; readonly detail: string };

const unreachable: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  // Of control's unix socket.
  "ENOENT",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EHOSTDOWN",
  "UND_ERR_CONNECT_TIMEOUT",
]);
/** UND_ERR_DESTROYED: the gateway itself gave the connection up, because the sandbox does not run any more. */
const closed: ReadonlySet<string> = new Set(["ECONNRESET", "EPIPE", "UND_ERR_SOCKET", "UND_ERR_DESTROYED"]);

/**
 * Reads an error of the HTTP client. `started`: the request was given to a connection, so bytes may have gone out;
 * `answering`: a byte of an answer had come.
 */
export function upstreamFailure(error: ConnectionError, started: boolean, answering: boolean): UpstreamFailure {
  const code = error.code ?? "";
  if (!started && (unreachable.has(code) || closed.has(code))) return { kind: "unreachable" };
  if (code === "UND_ERR_HEADERS_TIMEOUT") {
    return { kind: "refused", code: "upstream_timeout", detail: "The app took too long to begin its answer." };
  }
  if (code === "UND_ERR_BODY_TIMEOUT") {
    return { kind: "refused", code: "upstream_timeout", detail: "The app stopped in the middle of its answer." };
  }
  if (closed.has(code)) {
    const reused = error.carriedAnswer ?? (error.socket?.bytesRead ?? 0) > 0;
    if (!answering && reused) return { kind: "stale-connection" };
    return {
      kind: "refused",
      code: "upstream_reset",
      detail: "The app closed the connection before its answer was complete.",
    };
  }
  return { kind: "refused", code: "upstream_reset", detail: "The app's answer was not valid HTTP." };
}
