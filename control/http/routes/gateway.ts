import type { FastifyRequest } from "fastify";
import Type from "typebox";
import { DecodeError } from "#contract/decode.ts";
import {
  decodeActivityReport,
  decodeFenceReport,
  decodeWakeRequest,
  gatewayApiHost,
  gatewayApiPaths,
  heartbeatSeconds,
  type Listeners,
  type WakeOutcome,
} from "#contract/gateway-api.ts";
import { ApiError, notFound } from "../../api-error.ts";
import { wakeSandbox } from "../../sandboxes/wake-sandbox.ts";
import { type Api, idOf, sandboxOf } from "../api.ts";
import type { LiveStreams } from "../live-streams.ts";
import { streamProgress } from "../progress.ts";
import type { ApiServer } from "../server.ts";

const ndjson = "application/x-ndjson";

/** The gateway's own calls, under its own host alone. */
export function gatewayRoutes(server: ApiServer, api: Api, streams: LiveStreams): void {
  const options = { constraints: { host: gatewayApiHost }, config: { gateway: true } };
  const hide = true;
  const params = Type.Object({ id: Type.String() });

  const watchQuery = Type.Object({
    worker: Type.String({ minLength: 1 }),
    epoch: Type.Optional(Type.String()),
    since: Type.Optional(Type.Integer({ minimum: 0 })),
  });
  server.get(
    gatewayApiPaths.routes,
    { ...options, schema: { hide, querystring: watchQuery } },
    async (request, reply) => {
      await api.synced;
      const { worker, epoch, since } = request.query;
      const stream = streams.open(reply, ndjson);
      const disconnected = api.use.workers.connect(worker, () => stream.cut());
      const position = epoch !== undefined && since !== undefined ? { epoch, since } : undefined;
      const unheard = api.access.keeper.subscribe((line) => stream.push(line));
      let quiet = false;
      const unsubscribe = api.feed.subscribe((line) => {
        quiet = false;
        stream.push(line);
      }, position);
      const heartbeats = setInterval(
        () => {
          if (quiet) stream.push(api.feed.heartbeat());
          quiet = true;
        },
        (heartbeatSeconds * 1000) / 2,
      );
      stream.signal.addEventListener("abort", () => {
        clearInterval(heartbeats);
        unheard();
        unsubscribe();
        disconnected();
      });
    },
  );

  server.post(
    path(gatewayApiPaths.wake),
    { ...options, schema: { hide, params } },
    async (request): Promise<WakeOutcome> => {
      const asked = decodeBody(request, decodeWakeRequest);
      const result = await wakeSandbox(api.use, idOf(request.params), { cause: "request", ...asked });
      // What control's own end called off is no outcome: the gateway goes on holding and asks the next control.
      if (result.outcome !== "ready" && api.use.flights.closed)
        throw new ApiError("engine_unavailable", "Control is stopping");
      if (result.outcome !== "ready") return result;
      const route = api.feed.get(result.sandbox.id);
      if (route === undefined) throw notFound();
      return { outcome: "ready", route };
    },
  );

  server.get(path(gatewayApiPaths.progress), { ...options, schema: { hide, params } }, async (request, reply) => {
    const { id } = sandboxOf(api, request.params);
    streamProgress(api.use, id, streams.open(reply, ndjson));
  });

  server.get(
    path(gatewayApiPaths.listeners),
    { ...options, schema: { hide, params } },
    async (request): Promise<Listeners> => {
      const { id } = sandboxOf(api, request.params);
      return api.use.engine.listeners(id);
    },
  );

  server.post(gatewayApiPaths.activity, { ...options, schema: { hide } }, async (request, reply) => {
    api.use.ledger.take(decodeBody(request, decodeActivityReport));
    return reply.code(204).send();
  });

  server.post(gatewayApiPaths.fences, { ...options, schema: { hide } }, async (request, reply) => {
    api.use.drains.acknowledge(decodeBody(request, decodeFenceReport));
    return reply.code(204).send();
  });
}

function path(template: string): string {
  return template.replace("{id}", ":id");
}

/** The contract's own decoders read what the gateway says. */
export function decodeBody<T>({ body }: FastifyRequest, decode: (text: string) => T): T {
  try {
    return decode(JSON.stringify(body ?? null));
  } catch (cause) {
    if (!(cause instanceof DecodeError)) throw cause;
    throw new ApiError("invalid_request", cause.message, { cause });
  }
}
