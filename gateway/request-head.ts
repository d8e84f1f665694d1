import type { IncomingMessage } from "node:http";

/** What forwarding needs of a request's head, checked. */
export type RequestHead = {
  /** The host and port that the client addressed, as written (RFC 9112 §3.2.2: the authority of an absolute target wins). */
  readonly host: string;
  /** Origin form, byte for byte. */
  readonly target: string;
  readonly body: BodyFraming;
};

export type BodyFraming =
  | { readonly kind: "none" }
  | { readonly kind: "length"; readonly length: number }
  | { readonly kind: "chunked" };

export type HeadProblem = { readonly problem: string; readonly status?: number };

const none: BodyFraming = { kind: "none" };
const chunked: BodyFraming = { kind: "chunked" };
const visibleTarget = /^\/[^\x00-\x20\x7f#]*$/;
const absoluteTarget = /^https?:\/\/([^/?#]*)(.*)$/i;
/** In bytes; half of what a whole head may have, so that there is an answer before the parser gives up. */
const longestTarget = 1 << 19;
/** Of a request or an answer. A head of tiny ones takes a second of everybody's time before it is as large as it may be. */
export const mostHeaders = 2000;
const decimal = /^[0-9]{1,15}$/;

/**
 * Checks what Node's parser lets through although RFC 9112 forbids it or intermediaries disagree about it: versions (§2.3),
 * targets (§3.2), Host (§3.2), and any framing with two readings (§6). Returns the head, or what is wrong with it.
 */
export function readRequestHead(request: IncomingMessage): RequestHead | HeadProblem {
  if (request.httpVersionMajor !== 1 || request.httpVersionMinor > 1)
    return wrong("only HTTP/1.0 and HTTP/1.1 are spoken here");
  if (request.url!.length > longestTarget) return { problem: "a request target that is too long", status: 414 };
  const method = request.method!;
  if (method === "CONNECT" || method === "TRACE") return wrong(`${method} is not served here`);
  const { rawHeaders } = request;
  if (rawHeaders.length > 2 * mostHeaders) return { problem: "too many headers", status: 431 };
  let host: string | undefined;
  let contentLength: string | undefined;
  let transferEncoding: string | undefined;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]!;
    // Only three lengths matter: most names are told apart without lowering their case.
    if (name.length === 4 && name.toLowerCase() === "host") {
      if (host !== undefined) return wrong("more than one Host header");
      host = rawHeaders[index + 1]!;
    } else if (name.length === 14 && isName(name, "content-length", "content_length")) {
      if (contentLength !== undefined) return wrong("more than one Content-Length header");
      if (name.includes("_")) return wrong("an ambiguous Content_Length header");
      contentLength = rawHeaders[index + 1]!;
    } else if (name.length === 17 && isName(name, "transfer-encoding", "transfer_encoding")) {
      if (transferEncoding !== undefined) return wrong("more than one Transfer-Encoding header");
      if (name.includes("_")) return wrong("an ambiguous Transfer_Encoding header");
      transferEncoding = rawHeaders[index + 1]!;
    }
  }
  const body = readFraming(request, contentLength, transferEncoding);
  if ("problem" in body) return body;
  return readTarget(request.url!, host, body);
}

function isName(name: string, dashed: string, underscored: string): boolean {
  const lower = name.toLowerCase();
  return lower === dashed || lower === underscored;
}

function readFraming(
  request: IncomingMessage,
  contentLength: string | undefined,
  transferEncoding: string | undefined,
): BodyFraming | HeadProblem {
  if (transferEncoding !== undefined) {
    if (contentLength !== undefined) return wrong("both Transfer-Encoding and Content-Length");
    if (request.httpVersionMinor === 0) return wrong("Transfer-Encoding in an HTTP/1.0 request");
    return transferEncoding.toLowerCase() === "chunked" ? chunked : wrong("a Transfer-Encoding other than chunked");
  }
  if (contentLength === undefined) return none;
  if (!decimal.test(contentLength)) return wrong("a Content-Length that is not a number");
  const length = Number(contentLength);
  return length === 0 ? none : { kind: "length", length };
}

function readTarget(url: string, host: string | undefined, body: BodyFraming): RequestHead | HeadProblem {
  if (visibleTarget.test(url)) return host ? { host, target: url, body } : wrong("no Host header");
  const absolute = absoluteTarget.exec(url);
  if (absolute === null) return wrong("a request target that is neither a path nor an absolute URL");
  const [, authority, rest] = absolute;
  if (host === undefined || authority!.toLowerCase() !== host.toLowerCase()) {
    return wrong("a request target for another host than the Host header's");
  }
  const target = rest!.startsWith("/") ? rest! : `/${rest}`;
  return visibleTarget.test(target) ? { host, target, body } : wrong("a malformed request target");
}

function wrong(problem: string): HeadProblem {
  return { problem };
}
