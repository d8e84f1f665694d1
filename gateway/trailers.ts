import type { ServerResponse } from "node:http";
import { type DownstreamPolicy, downstreamHeaders } from "./downstream-headers.ts";

/**
 * Adds an app's trailers, name and value in turn, to an answer that is about to end: those that it might also send as headers.
 * When one of them could not be a header, all are left out: the answer is whole without them (RFC 9110 §6.5.1).
 */
export function addTrailers(response: ServerResponse, raw: readonly Buffer[], { host }: DownstreamPolicy): void {
  try {
    // Of a message without a body, so that no length comes through.
    const trailers = downstreamHeaders(raw, 204, { host, noindex: false });
    const pairs: [string, string][] = [];
    for (let index = 0; index < trailers.length; index += 2) pairs.push([trailers[index]!, trailers[index + 1]!]);
    response.addTrailers(pairs);
  } catch {
    response.addTrailers([]);
  }
}
