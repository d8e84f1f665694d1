import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";

/** A connection with so many requests that wait for their turn is not read on. */
const mostWaiting = 16;

const waiting = new WeakMap<Socket, number>();

/**
 * Begins a request once all those before it on its connection are answered: they may have an effect that it relies on
 * (RFC 9112 §9.3.2). Node's server would hand them out as they come, and keep nothing but the order of their answers.
 */
export function inTurn(begin: (request: IncomingMessage, response: ServerResponse) => void): typeof begin {
  return (request, response) => {
    if (response.socket !== null) return begin(request, response);
    const { socket } = request;
    waiting.set(socket, countOf(socket) + 1);
    // The parser reads on after each message: this is said when it is done with what has arrived.
    setImmediate(() => {
      if (countOf(socket) >= mostWaiting) socket.pause();
    });
    response.once("socket", () => {
      waiting.set(socket, countOf(socket) - 1);
      // Node itself has still to do with the response at this moment.
      process.nextTick(() => {
        if (countOf(socket) === 0) socket.resume();
        if (!response.destroyed) begin(request, response);
      });
    });
  };
}

function countOf(socket: Socket): number {
  return waiting.get(socket) ?? 0;
}
