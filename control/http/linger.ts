import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";

/** How long, and how much of, the rest of a body is read after its answer. */
const lingerMs = 5_000;
const lingerBytes = 64 << 20;

/**
 * Prepares the close of a connection whose request body will not be read to its end: when the answer is out, only our
 * side is closed, and what still comes is thrown away for a bounded while. An immediate close would reset the
 * connection, and the reset can destroy the answer before the client has read it (RFC 9112 §9.6). To be called before
 * the answer, which must say `Connection: close`, ends.
 */
export function closeLingering(request: IncomingMessage): void {
  const { socket } = request;
  // Node closes a connection after its last answer by destroySoon() once it has begun to throw the body away.
  socket.destroySoon = () => {
    socket.end();
    lingerOn(request, socket);
  };
}

function lingerOn(request: IncomingMessage, socket: Socket): void {
  const allowed = socket.bytesRead + lingerBytes;
  const end = () => socket.destroy();
  const timer = setTimeout(end, lingerMs);
  request.once("end", end);
  request.on("data", () => {
    if (socket.bytesRead > allowed) end();
  });
  socket.once("close", () => clearTimeout(timer));
  request.resume();
}
