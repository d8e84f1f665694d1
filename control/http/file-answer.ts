import { Readable } from "node:stream";
import type { FastifyReply, FastifyRequest } from "fastify";
import { ApiError } from "../api-error.ts";
import { etagOf, matches } from "../workspaces/file-version.ts";
import type { OpenFile } from "../workspaces/read-file.ts";
import { parseRange } from "./byte-range.ts";

/** Of a file that is asked for whole. */
export const mostWholeBytes = 2 * 1024 * 1024;

/**
 * Answers with a file of a sandbox, whole or a range of it, and closes it. A browser shall never take it for a page of ours.
 * Throws ApiError `too_large`.
 */
export async function sendFile(file: OpenFile, { method, headers }: FastifyRequest, reply: FastifyReply) {
  const etag = etagOf(file.stats);
  reply.headers({
    etag,
    "last-modified": file.stats.mtime.toUTCString(),
    "accept-ranges": "bytes",
    "cache-control": "no-cache",
    "x-content-type-options": "nosniff",
    "content-security-policy": "sandbox; default-src 'none'",
  });
  const { "if-none-match": ifNoneMatch, "if-range": ifRange } = headers;
  if (ifNoneMatch !== undefined && matches(ifNoneMatch, etag, { weakly: true })) {
    await file[Symbol.asyncDispose]();
    return reply.code(304).send();
  }
  const isRangeWanted = ifRange === undefined || ifRange === etag;
  const range = isRangeWanted ? parseRange(headers.range, file.size) : undefined;
  if (range === null) {
    await file[Symbol.asyncDispose]();
    return reply.code(416).header("content-range", `bytes */${file.size}`).send();
  }
  if (range === undefined && file.size > mostWholeBytes && method !== "HEAD") {
    await file[Symbol.asyncDispose]();
    throw new ApiError("too_large", "The file exceeds the 2 MiB read cap; ask for ranges of it");
  }
  const { start, length } = range ?? { start: 0, length: file.size };
  if (range !== undefined) reply.code(206).header("content-range", rangeText(start, length, file.size));
  reply.type("text/plain; charset=utf-8").header("content-length", length);
  if (method !== "HEAD") return reply.send(file.stream(start, length));
  await file[Symbol.asyncDispose]();
  // An empty payload would have its own length told in place of the file's.
  return reply.send(Readable.from([]));
}

function rangeText(start: number, length: number, size: number): string {
  return `bytes ${start}-${start + length - 1}/${size}`;
}
