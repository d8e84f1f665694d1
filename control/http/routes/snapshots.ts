import Type, { type Static } from "typebox";
import { parseSandboxId } from "#contract/sandbox-id.ts";
import { restoreSnapshot } from "../../snapshots/restore-snapshot.ts";
import type { Snapshot, SnapshotId } from "../../snapshots/snapshot.ts";
import { takeSnapshot } from "../../snapshots/take-snapshot.ts";
import { type Api, idOf, sandboxOf, show } from "../api.ts";
import { decodeCursor, encodeCursor } from "../list-cursor.ts";
import { toTime } from "../resource.ts";
import { idParams, resource, shortError, snapshotReference, versionedError } from "../schemas.ts";
import type { ApiServer } from "../server.ts";

const strict = { additionalProperties: false } as const;
const tags = ["snapshots"];
const errors = { "4xx": versionedError, "5xx": versionedError };
const shortErrors = { "4xx": shortError, "5xx": shortError };
const nullable = <const T extends Type.TSchema>(schema: T) => Type.Union([schema, Type.Null()]);

const name = Type.Optional(nullable(Type.String({ minLength: 1, maxLength: 255 })));
const takeBody = Type.Object({ name }, strict);
const takeOfBody = Type.Object({ source_sandbox_id: Type.String(), name }, strict);
const restoreBody = Type.Object({ snapshot_id: snapshotReference }, strict);
const shortRestoreBody = Type.Object({ snapshot: snapshotReference }, strict);

const snapshot = Type.Object(
  {
    id: Type.String(),
    sandbox_id: Type.String(),
    name: nullable(Type.String()),
    cause: Type.Enum(["operator", "schedule"]),
    external: resource.properties.external,
    templates: Type.Array(Type.String()),
    size_bytes: Type.Integer(),
    stood_still_ms: Type.Integer({ description: "For how long the sandbox stood still for it" }),
    skipped: Type.Array(Type.String(), { description: "The first devices, sockets and pipes, which no snapshot has" }),
    skipped_count: Type.Integer(),
    created_at: Type.String({ format: "date-time" }),
  },
  { title: "Snapshot" },
);
const page = Type.Object({ items: Type.Array(snapshot), next_cursor: nullable(Type.String()) });
const listQuery = Type.Object(
  {
    sandbox_id: Type.Optional(Type.String()),
    external_user_id: Type.Optional(Type.String()),
    external_project_id: Type.Optional(Type.String()),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 200 })),
    cursor: Type.Optional(Type.String()),
  },
  strict,
);

/** Copies of workspaces: take, list, restore, remove. */
export function snapshotRoutes(server: ApiServer, api: Api): void {
  const { snapshots } = api.use;
  const taken = { tags, summary: "Take a snapshot of a sandbox's workspace", response: { 201: snapshot, ...errors } };
  server.post(
    "/v1/sandboxes/:id/snapshots",
    { schema: { ...taken, params: idParams, body: takeBody } },
    async ({ params, body }, reply) => reply.code(201).send(await take(api, params.id, body.name ?? null)),
  );
  server.post("/v1/snapshots", { schema: { ...taken, body: takeOfBody } }, async ({ body }, reply) =>
    reply.code(201).send(await take(api, body.source_sandbox_id, body.name ?? null)),
  );

  const restored = { tags, summary: "Put a snapshot in the place of a sandbox's workspace", params: idParams };
  server.post(
    "/v1/sandboxes/:id/restore",
    { schema: { ...restored, body: restoreBody, response: { 200: resource, ...errors } } },
    async ({ params, body }) => show(api, await restoreSnapshot(api.use, idOf(params), snapshotIdOf(body.snapshot_id))),
  );

  const listed = { tags, summary: "List snapshots, newest first" };
  server.get(
    "/v1/sandboxes/:id/snapshots",
    { schema: { ...listed, params: idParams, response: { 200: page, ...errors } } },
    async ({ params }) => ({ items: ofSandbox(api, params), next_cursor: null }),
  );
  server.get(
    "/v1/snapshots",
    { schema: { ...listed, querystring: listQuery, response: { 200: page, ...errors } } },
    async ({ query }) => list(api, query),
  );

  const read = { tags, summary: "Show a snapshot", params: idParams };
  server.get("/v1/snapshots/:id", { schema: { ...read, response: { 200: snapshot, ...errors } } }, async ({ params }) =>
    toWire(api, snapshots.find(snapshotIdOf(params.id))),
  );
  const removed = { tags, summary: "Remove a snapshot", params: idParams };
  server.delete(
    "/v1/snapshots/:id",
    { schema: { ...removed, response: { 204: Type.Null(), ...errors } } },
    async ({ params }, reply) => {
      await snapshots.remove(snapshotIdOf(params.id));
      return reply.code(204).send(null);
    },
  );
  shortSnapshotRoutes(server, api);
}

/** What earlier clients know: to them a snapshot's time is its name, for which its id stands. */
function shortSnapshotRoutes(server: ApiServer, api: Api): void {
  const earlier = Type.Object({ ...snapshot.properties, ts: Type.String() });
  const asEarlier = (each: Static<typeof snapshot>) => ({ ...each, ts: each.id });
  const taken = { tags, summary: "Take a snapshot", params: idParams, body: takeBody };
  server.post(
    "/sandbox/:id/snapshots",
    { schema: { ...taken, response: { 202: earlier, ...shortErrors } } },
    async ({ params, body }, reply) => {
      const made = await take(api, params.id, body.name ?? null);
      return reply.code(202).send(asEarlier(made));
    },
  );
  const listed = { tags, summary: "List a sandbox's snapshots, newest first", params: idParams };
  server.get(
    "/sandbox/:id/snapshots",
    { schema: { ...listed, response: { 200: Type.Array(earlier), ...shortErrors } } },
    async ({ params }) => ofSandbox(api, params).map(asEarlier),
  );
  const restored = { tags, summary: "Restore a snapshot", params: idParams, body: shortRestoreBody };
  server.post(
    "/sandbox/:id/restore",
    { schema: { ...restored, response: { 200: resource, ...shortErrors } } },
    async ({ params, body }) => show(api, await restoreSnapshot(api.use, idOf(params), snapshotIdOf(body.snapshot))),
  );
}

async function take(api: Api, id: string, name: string | null): Promise<Static<typeof snapshot>> {
  return toWire(api, await takeSnapshot(api.use, idOf({ id }), { name, cause: "operator" }));
}

/** Of a sandbox that is there, or of one that left some. */
function ofSandbox(api: Api, params: { id: string }): Static<typeof snapshot>[] {
  const found = api.use.snapshots.store.ofSandbox(idOf(params));
  if (found.length === 0) sandboxOf(api, params);
  return found.map((each) => toWire(api, each));
}

function list(api: Api, query: Static<typeof listQuery>): Static<typeof page> {
  const { limit = 50, cursor, sandbox_id, external_user_id, external_project_id } = query;
  const found = api.use.snapshots.store.list({
    ...(sandbox_id !== undefined && { sandboxId: idOf({ id: sandbox_id }) }),
    ...(external_user_id !== undefined && { externalUserId: external_user_id }),
    ...(external_project_id !== undefined && { externalProjectId: external_project_id }),
    ...(cursor !== undefined && { after: decodeCursor(cursor) }),
    limit: limit + 1,
  });
  const items = found.slice(0, limit);
  const next_cursor = found.length > limit ? encodeCursor(items.at(-1)!) : null;
  return { items: items.map((each) => toWire(api, each)), next_cursor };
}

/** What is no id names no snapshot: it is looked for as such. */
function snapshotIdOf(text: string): SnapshotId {
  return parseSandboxId(text) ?? (text as SnapshotId);
}

function toWire({ use: { snapshots } }: Api, each: Snapshot): Static<typeof snapshot> {
  const { id, sandboxId, name, cause, external, sizeBytes, stoodStillMs, skipped, skippedCount, createdAt } = each;
  return {
    ...{ id, sandbox_id: sandboxId, name, cause, created_at: toTime(createdAt) },
    external: { user_id: external.userId, project_id: external.projectId, workspace_id: external.workspaceId },
    templates: snapshots.store.templates(id).map((template) => template.name),
    ...{ size_bytes: sizeBytes, stood_still_ms: stoodStillMs, skipped: [...skipped], skipped_count: skippedCount },
  };
}
