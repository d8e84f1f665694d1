import Type from "typebox";
import { keepAlive } from "../../sandboxes/keep-alive.ts";
import { purgeSandbox, removeSandbox } from "../../sandboxes/remove-sandbox.ts";
import { type Api, idOf, sandboxOf, show } from "../api.ts";
import { gone } from "../gone.ts";
import { createBody, idParams, resource, shortError } from "../schemas.ts";
import type { ApiServer } from "../server.ts";
import { keepaliveBody, wake, wakeAnswer, wakeBody, wakeQuery } from "./lifecycle.ts";
import { create, createQuery, filterQuery, toFilter } from "./sandboxes.ts";

const tags = ["short forms"];
const errors = { "4xx": shortError, "5xx": shortError };
const everyOne = 2 ** 31 - 1;
const liveStates = Type.Enum(["running", "exited", "paused", "missing"]);
const live = Type.Object({
  row: resource,
  live_state: liveStates,
  runtime: Type.Record(Type.String(), Type.Unknown()),
});

const purgeAnswer = Type.Object({ purged: Type.Literal(true), freed_bytes: Type.Integer() });

/** The same calls under the paths that earlier clients know, with errors that are a mere message. */
export function shortRoutes(server: ApiServer, api: Api): void {
  const created = { tags, summary: "Create a sandbox", body: createBody, querystring: createQuery };
  server.post(
    "/sandbox",
    { schema: { ...created, response: { 201: resource, ...errors } } },
    async (request, reply) => {
      const { body, query, caller, url, headers } = request;
      const answer = await create(api, {
        body,
        query,
        caller,
        url,
        key: headers["idempotency-key"] as string | undefined,
      });
      return reply
        .code(answer.status as 201)
        .type("application/json; charset=utf-8")
        .send(answer.body as never);
    },
  );

  const listed = { tags, summary: "List every sandbox, newest first", querystring: filterQuery };
  server.get(
    "/sandboxes",
    { schema: { ...listed, response: { 200: Type.Array(resource), ...errors } } },
    async ({ query }) => api.use.store.list({ ...toFilter(query), limit: everyOne }).map((each) => show(api, each)),
  );

  const read = { tags, summary: "Show a sandbox and what runs of it", params: idParams };
  server.get("/sandbox/:id", { schema: { ...read, response: { 200: live, ...errors } } }, async ({ params }) => {
    const sandbox = sandboxOf(api, params);
    const { state, runtime } = await api.use.engine.inspect(sandbox.id);
    return { row: show(api, sandboxOf(api, params)), live_state: state, runtime };
  });

  const removed = { tags, summary: "Remove a sandbox and keep its workspace", params: idParams };
  server.delete(
    "/sandbox/:id",
    { schema: { ...removed, response: { 204: Type.Null(), ...errors } } },
    async ({ params }, reply) => {
      await removeSandbox(api.use, idOf(params), "keep");
      return reply.code(204).send(null);
    },
  );

  const purged = { tags, summary: "Remove a sandbox and its workspace", params: idParams };
  server.post(
    "/sandbox/:id/purge",
    { schema: { ...purged, response: { 200: purgeAnswer, ...errors } } },
    async ({ params }) => ({ purged: true as const, freed_bytes: await purgeSandbox(api.use, idOf(params)) }),
  );

  // Earlier clients count seconds since 1970, both ways.
  const until = Type.Union([keepaliveBody.properties.until, Type.Integer()]);
  const promised = Type.Object({ id: Type.String(), keepalive_until: Type.Integer() }, { additionalProperties: false });
  const kept = {
    tags,
    summary: "Keep a sandbox awake until a time",
    params: idParams,
    body: Type.Object({ until }, { additionalProperties: false }),
  };
  server.post(
    "/sandbox/:id/keepalive",
    { schema: { ...kept, response: { 200: Type.Union([promised, resource]), ...errors } } },
    async ({ params, body }) => {
      const { until } = body;
      if (typeof until === "string") return show(api, keepAlive(api.use, idOf(params), until));
      const { id, keepaliveUntil } = keepAlive(api.use, idOf(params), timeOf(until));
      return { id, keepalive_until: Math.floor(keepaliveUntil! / 1000) };
    },
  );

  const woken = { tags, summary: "Wake a sandbox", params: idParams, body: wakeBody, querystring: wakeQuery };
  server.post("/wake/:id", { schema: { ...woken, response: { 200: wakeAnswer, ...errors } } }, async (request) =>
    wake(api, idOf(request.params), { ...request.body, ...request.query }, gone(request, api.closing.signal)),
  );
}

/** Of seconds since 1970. What no calendar has is left to fail as a time. */
function timeOf(seconds: number): string {
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? "" : date.toISOString();
}
