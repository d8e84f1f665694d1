import type { Socket } from "node:net";
import type { FastifyRequest } from "fastify";

/** One for each connection: it carries many calls, and a listener for each of them would stay as long as it does. */
const hungUp = new WeakMap<Socket, AbortSignal>();

/** Aborts when the caller hung up or control stops: nobody is waiting any more. */
export function gone({ raw }: FastifyRequest, closing: AbortSignal): AbortSignal {
  return AbortSignal.any([signalOf(raw.socket), closing]);
}

function signalOf(socket: Socket): AbortSignal {
  if (socket.destroyed) return AbortSignal.abort();
  let signal = hungUp.get(socket);
  if (signal === undefined) {
    const controller = new AbortController();
    signal = controller.signal;
    hungUp.set(socket, signal);
    socket.once("close", () => controller.abort());
  }
  return signal;
}
