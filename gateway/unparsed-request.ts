import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { closeAfter, isEnding, noteEnding } from "./linger.ts";
import { refusalTexts } from "./pages/pages.ts";

const statuses: Readonly<Record<string, readonly [number, string]>> = {
  HPE_HEADER_OVERFLOW: [431, "Request Header Fields Too Large"],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: [413, "Content Too Large"],
  ERR_HTTP_REQUEST_TIMEOUT: [408, "Request Timeout"],
};
const lingerMs = 2_000;

/** Connections that have their answer: the parser goes on failing for as long as bytes come. */
const refused = new WeakSet<Duplex>();

/**
 * Answers what Node's parser could not read as HTTP, and closes the connection without a reset. An earlier request on it that
 * came whole gets its answer nevertheless, as the last one.
 */
export function refuseUnparsed(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (refused.has(socket)) return;
  if (error.code === "ECONNRESET" || !socket.writable || saidNothing(error, socket)) return void socket.destroy();
  const pending = (socket as { _httpMessage?: ServerResponse | null })._httpMessage ?? undefined;
  const isOwnBody = pending !== undefined && !pending.req.complete;
  if (isEnding(socket) && !(isOwnBody && !pending.headersSent)) return;
  if (pending !== undefined && !isOwnBody) return closeAfter(pending);
  // A half-written answer must not be continued by this one.
  if (pending?.headersSent) return void socket.destroy();
  refused.add(socket);
  noteEnding(socket);
  const [status, reason] = statuses[error.code ?? ""] ?? [400, "Bad Request"];
  const body = JSON.stringify({
    type: "about:blank",
    title: status === 400 ? refusalTexts.bad_request.title : reason,
    status,
    code: "bad_request",
    detail: refusalTexts.bad_request.detail,
  });
  socket.on("error", () => {});
  socket.end(
    `HTTP/1.1 ${status} ${reason}\r\nContent-Type: application/problem+json\r\nX-Sandbox-Gateway: bad_request\r\n` +
      `Cache-Control: no-store\r\nConnection: close\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
  socket.resume();
  const timer = setTimeout(() => socket.destroy(), lingerMs);
  socket.once("close", () => clearTimeout(timer));
}

/** Proxies open connections ahead of need, and would take a 408 for the answer to what they send at that moment. */
function saidNothing({ code }: NodeJS.ErrnoException, socket: Duplex): boolean {
  return code === "ERR_HTTP_REQUEST_TIMEOUT" && (socket as Socket).bytesRead === 0;
}
