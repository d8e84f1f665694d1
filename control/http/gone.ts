import type { FastifyRequest } from "fastify";

/** Aborts when the caller hung up. */
export function gone({ raw }: FastifyRequest): AbortSignal {
  const controller = new AbortController();
  if (raw.socket.destroyed) controller.abort();
  else raw.socket.once("close", () => controller.abort());
  return controller.signal;
}
