import type { IncomingMessage, ServerResponse } from "node:http";
import swagger from "@fastify/swagger";
import type { TypeBoxTypeProvider } from "@fastify/type-provider-typebox";
import fastify, { type FastifyBaseLogger, type FastifyInstance, LogController, type RawServerDefault } from "fastify";
import type { Logger } from "pino";
import { notFound } from "../api-error.ts";
import type { Api } from "./api.ts";
import { auditCalls } from "./audit-hook.ts";
import type { Caller, Door } from "./door.ts";
import { LiveStreams } from "./live-streams.ts";
import { answerError } from "./problem.ts";
import { accessRoutes } from "./routes/access.ts";
import { auditRoutes } from "./routes/audit.ts";
import { certificateRoutes } from "./routes/certificate.ts";
import { gatewayRoutes } from "./routes/gateway.ts";
import { gatewayAccessRoutes } from "./routes/gateway-access.ts";
import { healthRoutes } from "./routes/health.ts";
import { lifecycleRoutes } from "./routes/lifecycle.ts";
import { observeRoutes } from "./routes/observe.ts";
import { revocationRoutes } from "./routes/revocations.ts";
import { sandboxRoutes } from "./routes/sandboxes.ts";
import { shareRoutes } from "./routes/shares.ts";
import { shortRoutes } from "./routes/short.ts";
import { compileValidator } from "./validation.ts";

declare module "fastify" {
  interface FastifyContextConfig {
    /** One of the gateway's own calls. */
    gateway?: boolean;
  }
  interface FastifyRequest {
    caller: Caller;
  }
}

/** A server that knows the types of its routes' schemas. */
export type ApiServer = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;

const longestBody = 1024 * 1024;

/**
 * The API behind one door. Both doors have the same routes; the gateway's own are behind that which serves them alone.
 * Closing it ends live streams at once and lets calls in progress finish.
 */
export async function buildServer(api: Api, door: Door, logger: Logger): Promise<ApiServer> {
  const server = fastify({
    // Calls are counted, not logged.
    loggerInstance: logger.child({}, { level: "warn" }) as FastifyBaseLogger,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: longestBody,
    // A missing Host is the door's to refuse, with an answer in our form.
    http: { requireHostHeader: false },
    frameworkErrors: answerError,
  }).withTypeProvider<TypeBoxTypeProvider>();
  server.setValidatorCompiler(compileValidator);
  server.setSerializerCompiler(() => (value) => JSON.stringify(value));
  acceptJsonAlone(server);
  server.decorateRequest("caller");
  server.addHook("onRequest", async (request) => {
    request.caller = await door.admit(request);
  });
  server.addHook("onResponse", async ({ method, routeOptions }, { statusCode }) => {
    api.use.metrics.answered(method, routeOptions.url ?? "unknown", statusCode);
  });
  auditCalls(server, api.access.audit);
  server.setErrorHandler(answerError);
  server.setNotFoundHandler((request, reply) => answerError(notFound("There is nothing at this path"), request, reply));
  const streams = new LiveStreams();
  server.addHook("preClose", async () => streams.close());
  await server.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: { title: "sandboxd", version: "1.0.0", description: "Sandboxes with a URL for each of their ports" },
      components: { securitySchemes: { bearer: { type: "http", scheme: "bearer" } } },
      security: [{ bearer: [] }],
    },
  });
  await server.register(async (scope) => {
    const routes = scope.withTypeProvider<TypeBoxTypeProvider>();
    healthRoutes(routes, api);
    sandboxRoutes(routes, api);
    lifecycleRoutes(routes, api);
    observeRoutes(routes, api, streams);
    shareRoutes(routes, api);
    revocationRoutes(routes, api);
    accessRoutes(routes, api);
    auditRoutes(routes, api, streams);
    certificateRoutes(routes, api);
    shortRoutes(routes, api);
    if (!door.servesGateway) return;
    gatewayRoutes(routes, api, streams);
    gatewayAccessRoutes(routes, api);
  });
  return server;
}

/** A form that a page of another site posts without asking has one of the other content types. */
function acceptJsonAlone(server: ApiServer): void {
  const parseJson = server.getDefaultJsonParser("error", "error");
  server.removeAllContentTypeParsers();
  server.addContentTypeParser<string>(
    /^application\/(?:merge-patch\+)?json\s*(?:;|$)/i,
    { parseAs: "string" },
    (request, body, done) => (body === "" ? done(null, undefined) : parseJson(request, body, done)),
  );
}
