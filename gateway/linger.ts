import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";

/** How long, and how much of, what still comes is read after the last answer of a connection. */
const lingerMs = 5_000;
const lingerBytes = 64 << 20;

const ending = new WeakSet<Duplex>();

/**
 * Whether a connection ends with the answer that is on its way or out: nothing that still comes on it is a request (RFC 9112
 * §9.6), though it may look like one.
 */
export function isEnding(socket: Duplex): boolean {
  return ending.has(socket);
}

/**
 * Prepares the close of a connection whose request body will not be read to its end: when the answer is out, only our
 * side is closed, and what still comes is thrown away for a bounded while. An immediate close would reset the
 * connection, and the reset can destroy the answer before the client has read it (RFC 9112 §9.6). To be called before
 * the answer, which must say `Connection: close`, ends.
 */
export function closeLingering(request: IncomingMessage): void {
  const { socket } = request;
  ending.add(socket);
  // Node closes a connection after its last answer by destroySoon() once it has begun to throw the body away.
  socket.destroySoon = () => {
    socket.end();
    lingerOn(request, socket);
  };
}

/** The same for a connection on which something comes behind a whole request that cannot be another one. */
export function closeAfter(response: ServerResponse): void {
  const { req, socket } = response;
  closeLingering(req);
  response.shouldKeepAlive = false;
  // An answer that has begun has said already that the connection stays.
  response.once("finish", () => socket?.destroySoon());
}

/** Marks a connection that has been told its end in another way. */
export function noteEnding(socket: Duplex): void {
  ending.add(socket);
}

function lingerOn(request: IncomingMessage, socket: Socket): void {
  const allowed = socket.bytesRead + lingerBytes;
  const end = () => socket.destroy();
  const timer = setTimeout(end, lingerMs);
  request.on("data", () => {
    if (socket.bytesRead > allowed) end();
  });
  socket.once("close", () => clearTimeout(timer));
  request.resume();
}
