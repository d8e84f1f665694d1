import type { FastifyRequest } from "fastify";

/** Aborts when the caller hung up or control stops: nobody is waiting any more. */
export function gone({ raw }: FastifyRequest, closing: AbortSignal): AbortSignal {
  const controller = new AbortController();
  if (raw.socket.destroyed) controller.abort();
  else raw.socket.once("close", () => controller.abort());
  return AbortSignal.any([controller.signal, closing]);
}
