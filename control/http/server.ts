import { isUtf8 } from "node:buffer";
import type { IncomingMessage, ServerResponse } from "node:http";
import swagger from "@fastify/swagger";
import type { TypeBoxTypeProvider } from "@fastify/type-provider-typebox";
import websocket from "@fastify/websocket";
import fastify, { type FastifyBaseLogger, type FastifyInstance, LogController, type RawServerDefault } from "fastify";
import type { Logger } from "pino";
import Type from "typebox";
import { ApiError, notFound } from "../api-error.ts";
import type { Api } from "./api.ts";
import { auditCalls } from "./audit-hook.ts";
import { serveDocs } from "./docs-page.ts";
import type { Caller, Door } from "./door.ts";
import { closeLingering } from "./linger.ts";
import { LiveStreams } from "./live-streams.ts";
import { answerError } from "./problem.ts";
import { auditRoutes } from "./routes/audit.ts";
import { backupRoutes } from "./routes/backups.ts";
import { certificateRoutes } from "./routes/certificate.ts";
import { diskRoutes } from "./routes/disk.ts";
import { egressRoutes } from "./routes/egress.ts";
import { engineRoutes } from "./routes/engine.ts";
import { execRoutes } from "./routes/exec.ts";
import { exportRoutes } from "./routes/export.ts";
import { fileRoutes } from "./routes/files.ts";
import { forwardAuthRoutes } from "./routes/forward-auth.ts";
import { gatewayRoutes } from "./routes/gateway.ts";
import { gatewayAccessRoutes } from "./routes/gateway-access.ts";
import { healthRoutes } from "./routes/health.ts";
import { importRoutes } from "./routes/import.ts";
import { landingRoutes } from "./routes/landing.ts";
import { lifecycleRoutes } from "./routes/lifecycle.ts";
import { observeRoutes } from "./routes/observe.ts";
import { ownerRoutes } from "./routes/owners.ts";
import { revocationRoutes } from "./routes/revocations.ts";
import { sandboxRoutes } from "./routes/sandboxes.ts";
import { shareRoutes } from "./routes/shares.ts";
import { shortRoutes } from "./routes/short.ts";
import { snapshotRoutes } from "./routes/snapshots.ts";
import { templateRoutes } from "./routes/templates.ts";
import { terminalRoutes } from "./routes/terminal.ts";
import { usageRoutes } from "./routes/usage.ts";
import { watchRoutes } from "./routes/watch-files.ts";
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
/** On a WebSocket; what is pasted at once is less. */
const mostMessageBytes = 1024 * 1024;

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
  refuseUnnamed(server);
  // Before anything may refuse a call: a refused upgrade leaves its connection to be closed here.
  await server.register(websocket, { options: { maxPayload: mostMessageBytes } });
  server.decorateRequest("caller");
  server.addHook("onRequest", async (request) => {
    request.caller = await door.admit(request);
  });
  server.addHook("onSend", async ({ raw }, reply) => {
    if (!raw.complete && reply.getHeader("connection") === "close") closeLingering(raw);
  });
  server.addHook("onResponse", async ({ method, routeOptions }, { statusCode }) => {
    api.use.metrics.answered(method, routeOptions.url ?? "unknown", statusCode);
  });
  auditCalls(server, api.access.audit);
  server.setErrorHandler(answerError);
  server.setNotFoundHandler((request, reply) => answerError(notFound("There is nothing at this path"), request, reply));
  const streams = new LiveStreams();
  const { tokens } = api.access;
  tokens.onReplace(() => streams.cutWhere((caller) => caller.kind === "token" && !tokens.has(caller.token)));
  server.addHook("preClose", async () => streams.close());
  await server.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: { title: "sandboxd", version: "1.0.0", description: "Sandboxes with a URL for each of their ports" },
      components: { securitySchemes: { bearer: { type: "http", scheme: "bearer" } } },
      security: [{ bearer: [] }],
    },
  });
  await serveDocs(server);
  await server.register(async (scope) => {
    const routes = scope.withTypeProvider<TypeBoxTypeProvider>();
    healthRoutes(routes, api);
    sandboxRoutes(routes, api);
    lifecycleRoutes(routes, api);
    observeRoutes(routes, api, streams);
    execRoutes(routes, api);
    fileRoutes(routes, api);
    watchRoutes(routes, api, streams);
    exportRoutes(routes, api);
    importRoutes(routes, api);
    terminalRoutes(routes, api);
    ownerRoutes(routes, api);
    snapshotRoutes(routes, api);
    templateRoutes(routes, api);
    shareRoutes(routes, api);
    revocationRoutes(routes, api);
    landingRoutes(routes, api);
    forwardAuthRoutes(routes, api);
    auditRoutes(routes, api, streams);
    certificateRoutes(routes, api);
    diskRoutes(routes, api);
    usageRoutes(routes, api);
    backupRoutes(routes, api);
    egressRoutes(routes, api);
    engineRoutes(routes, api);
    shortRoutes(routes, api);
    if (!door.servesGateway) return;
    gatewayRoutes(routes, api, streams);
    gatewayAccessRoutes(routes, api);
  });
  return server;
}

/** A form that a page of another site posts without asking has one of the other content types. An empty body is none. */
function acceptJsonAlone(server: ApiServer): void {
  const parseJson = server.getDefaultJsonParser("error", "error");
  server.removeAllContentTypeParsers();
  server.addContentTypeParser<Buffer>(
    /^application\/(?:merge-patch\+)?json\s*(?:;|$)/i,
    { parseAs: "buffer" },
    (request, body, done) => {
      if (body.length === 0) done(null, undefined);
      // RFC 8259 §8.1.
      else if (!isUtf8(body)) done(new ApiError("invalid_request", "The body is not UTF-8"));
      else parseJson(request, body.toString(), done);
    },
  );
  server.addContentTypeParser("*", ({ headers }, _body, done) => {
    if (headers["content-length"] === "0") done(null, undefined);
    else done(new ApiError("invalid_request", "A body needs the content type application/json"));
  });
}

/** The paths of the API's own calls: what probes of health and scrapers add to theirs is their affair. */
const callPath = /^\/(?:v1|sandbox|sandboxes|wake|external-users|external-projects)(?:\/|$)/;

/** What a call's schema does not name it does not take, neither in its query nor in its body. */
function refuseUnnamed(server: ApiServer): void {
  const nothing = Type.Object({}, { additionalProperties: false });
  server.addHook("onRoute", (route) => {
    if (!callPath.test(route.url)) return;
    const body = route.method === "POST" ? { body: nothing } : {};
    route.schema = { querystring: nothing, ...body, ...route.schema };
  });
}
