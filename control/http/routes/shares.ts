import Type, { type Static } from "typebox";
import type { Share } from "../../sqlite/share-store.ts";
import { type Api, sandboxOf } from "../api.ts";
import { toTime } from "../resource.ts";
import { idParams, versionedError } from "../schemas.ts";
import type { ApiServer } from "../server.ts";

const strict = { additionalProperties: false } as const;
const tags = ["access"];
const errors = { "4xx": versionedError, "5xx": versionedError };
const nullable = <const T extends Type.TSchema>(schema: T) => Type.Union([schema, Type.Null()]);
const time = Type.String({ format: "date-time" });
const longestTtlSeconds = 31 * 24 * 3600;

const shareBody = Type.Object(
  {
    ttl_seconds: Type.Optional(Type.Integer({ minimum: 1, maximum: longestTtlSeconds })),
    port: Type.Optional(nullable(Type.Integer({ minimum: 1, maximum: 65_535 }))),
    max_uses: Type.Optional(nullable(Type.Integer({ minimum: 1, maximum: 1_000_000 }))),
    label: Type.Optional(nullable(Type.String({ maxLength: 255 }))),
  },
  strict,
);

const share = Type.Object({
  id: Type.String(),
  expires_at: time,
  port: nullable(Type.Integer()),
  max_uses: nullable(Type.Integer()),
  uses: Type.Integer(),
  label: nullable(Type.String()),
  created_at: time,
  last_used_at: nullable(time),
});
const newShare = Type.Object({ ...share.properties, url: Type.String() });
const list = Type.Object({ items: Type.Array(share), next_cursor: Type.Null() });

/** Links to a private preview. */
export function shareRoutes(server: ApiServer, api: Api): void {
  const { shares } = api.access;
  const path = "/v1/sandboxes/:id/shares";
  const made = { tags, summary: "Make a share link; its URL is told this once", params: idParams, body: shareBody };
  server.post(path, { schema: { ...made, response: { 201: newShare, ...errors } } }, async (request, reply) => {
    const { ttl_seconds = 86_400, port = null, max_uses = null, label = null } = request.body;
    const sandbox = sandboxOf(api, request.params);
    const created = shares.create(sandbox, { ttlSeconds: ttl_seconds, port, maxUses: max_uses, label });
    return reply.code(201).send({ ...show(created.share), url: created.url });
  });

  const listed = { tags, summary: "List share links, newest first", params: idParams };
  server.get(path, { schema: { ...listed, response: { 200: list, ...errors } } }, async ({ params }) => ({
    items: shares.list(sandboxOf(api, params).id).map(show),
    next_cursor: null,
  }));

  const ended = {
    tags,
    summary: "End a share link and what came of it",
    params: Type.Object({ id: Type.String(), share: Type.String() }),
  };
  server.delete(
    `${path}/:share`,
    { schema: { ...ended, response: { 204: Type.Null(), ...errors } } },
    async ({ params }, reply) => {
      shares.revoke(sandboxOf(api, params).id, params.share.toUpperCase());
      return reply.code(204).send(null);
    },
  );
}

function show({ id, expiresAt, port, maxUses, uses, label, createdAt, lastUsedAt }: Share): Static<typeof share> {
  return {
    ...{ id, expires_at: toTime(expiresAt), port, max_uses: maxUses, uses, label, created_at: toTime(createdAt) },
    last_used_at: lastUsedAt === null ? null : toTime(lastUsedAt),
  };
}
