import Type from "typebox";
import { explain } from "../../sandboxes/explain.ts";
import { type Api, sandboxOf } from "../api.ts";
import type { LiveStreams } from "../live-streams.ts";
import { sendLog, streamLog } from "../logs.ts";
import { idParams, versionedError } from "../schemas.ts";
import type { ApiServer } from "../server.ts";

const strict = { additionalProperties: false } as const;
const tags = ["observe"];
const errors = { "4xx": versionedError, "5xx": versionedError };
const time = Type.String({ format: "date-time" });
const nullable = <const T extends Type.TSchema>(schema: T) => Type.Union([schema, Type.Null()]);

const logQuery = Type.Object(
  {
    tail: Type.Optional(Type.Integer({ minimum: 0, maximum: 100_000 })),
    follow: Type.Optional(Type.Boolean()),
  },
  strict,
);

const explanation = Type.Object({
  status: Type.String(),
  since: time,
  awake_because: Type.Array(
    Type.Object({ cause: Type.String(), since: time, until: nullable(time), detail: Type.String() }),
  ),
  asleep_because: nullable(Type.Object({ cause: Type.String(), since: time, detail: nullable(Type.String()) })),
  last_navigation_at: nullable(time),
  next_stop_at: nullable(time),
  next_stop_because: nullable(Type.String()),
  recent: Type.Array(
    Type.Object({
      time,
      kind: Type.Enum(["wake", "extend", "refuse", "stop"]),
      cause: Type.String(),
      class: nullable(Type.String()),
      credential: nullable(Type.String()),
      outcome: nullable(Type.String()),
      duration_ms: nullable(Type.Integer()),
    }),
  ),
});

/** A sandbox's log, and why it is awake or asleep. */
export function observeRoutes(server: ApiServer, api: Api, streams: LiveStreams): void {
  const logged = { tags, summary: "A sandbox's log", params: idParams, querystring: logQuery };
  server.get(
    "/v1/sandboxes/:id/logs",
    { schema: { ...logged, response: { 200: Type.String(), ...errors } } },
    async (request, reply) => {
      const { id } = sandboxOf(api, request.params);
      const { tail, follow = false } = request.query;
      const options = tail === undefined ? {} : { tail };
      if (!follow) return sendLog(api.use.engine, id, options, reply);
      const asEvents = /text\/event-stream/i.test(request.headers.accept ?? "");
      return streamLog(api.use, id, { ...options, asEvents }, streams, reply);
    },
  );

  const explained = { tags, summary: "Why it is awake or asleep", params: idParams };
  server.get(
    "/v1/sandboxes/:id/explain",
    { schema: { ...explained, response: { 200: explanation, ...errors } } },
    async (request) => explain(api.use, api.events, sandboxOf(api, request.params)),
  );
}
