import Type, { type Static } from "typebox";
import { sandboxStatuses } from "#contract/gateway-api.ts";
import { parseSandboxId } from "#contract/sandbox-id.ts";
import { ApiError, notFound } from "../../api-error.ts";
import { createSandbox, newSandboxId } from "../../sandboxes/create-sandbox.ts";
import { patchSandbox } from "../../sandboxes/patch-sandbox.ts";
import { removeSandbox } from "../../sandboxes/remove-sandbox.ts";
import type { External } from "../../sandboxes/sandbox.ts";
import { waitFor } from "../../sandboxes/wait-for.ts";
import type { SnapshotId } from "../../snapshots/snapshot.ts";
import type { StoredAnswer } from "../../sqlite/idempotency-store.ts";
import type { SandboxFilter } from "../../sqlite/sandbox-store.ts";
import { type Api, checkPossible, idOf, sandboxOf, sealFor, show } from "../api.ts";
import type { Caller } from "../door.ts";
import { withoutSecrets } from "../env-field.ts";
import { gone } from "../gone.ts";
import { decodeCursor, encodeCursor } from "../list-cursor.ts";
import { toChanges, toPolicy } from "../resource.ts";
import { createBody, idParams, patchBody, resource, versionedError } from "../schemas.ts";
import type { ApiServer } from "../server.ts";

const strict = { additionalProperties: false } as const;
const tags = ["sandboxes"];
const errors = { "4xx": versionedError, "5xx": versionedError };
export const createQuery = Type.Object({ wait: Type.Optional(Type.Enum(["running", "none"])) }, strict);

export const filterQuery = Type.Object(
  {
    status: Type.Optional(Type.Enum([...sandboxStatuses])),
    external_user_id: Type.Optional(Type.String()),
    external_project_id: Type.Optional(Type.String()),
    label: Type.Optional(Type.String({ pattern: "^[^=]+=", description: "key=value" })),
  },
  strict,
);
const listQuery = Type.Object(
  {
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 200 })),
    cursor: Type.Optional(Type.String()),
    ...filterQuery.properties,
  },
  strict,
);
const page = Type.Object({ items: Type.Array(resource), next_cursor: Type.Union([Type.String(), Type.Null()]) });

const readQuery = Type.Object(
  {
    wait: Type.Optional(Type.Enum([...sandboxStatuses])),
    timeout_seconds: Type.Optional(Type.Integer({ minimum: 0, maximum: 600 })),
  },
  strict,
);

/** Create, list, read, patch and remove. */
export function sandboxRoutes(server: ApiServer, api: Api): void {
  const created = { tags, summary: "Create a sandbox and start it", body: createBody, querystring: createQuery };
  server.post(
    "/v1/sandboxes",
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
      if (answer.status === 201) reply.header("location", locationOf(answer.body));
      return reply
        .code(answer.status as 201)
        .type("application/json; charset=utf-8")
        .send(answer.body as never);
    },
  );

  const listed = { tags, summary: "List sandboxes, newest first", querystring: listQuery };
  server.get("/v1/sandboxes", { schema: { ...listed, response: { 200: page, ...errors } } }, async ({ query }) =>
    list(api, query),
  );

  const read = { tags, summary: "Show a sandbox", params: idParams, querystring: readQuery };
  server.get(
    "/v1/sandboxes/:id",
    { schema: { ...read, response: { 200: resource, ...errors } } },
    async (request, reply) => {
      const { wait, timeout_seconds = 30 } = request.query;
      let sandbox = sandboxOf(api, request.params);
      if (wait !== undefined) {
        const patience = { milliseconds: timeout_seconds * 1000, signal: gone(request, api.closing.signal) };
        const waited = await waitFor(api.use.records, sandbox.id, ({ status }) => status === wait, patience);
        if (waited === undefined) throw notFound();
        sandbox = waited;
      }
      return reply.header("etag", `"${sandbox.generation}"`).send(show(api, sandbox));
    },
  );

  const patched = { tags, summary: "Change a sandbox's policy (merge patch)", params: idParams, body: patchBody };
  server.patch(
    "/v1/sandboxes/:id",
    { schema: { ...patched, response: { 200: resource, ...errors } } },
    async (request, reply) => {
      const { body, params, headers } = request;
      await checkPossible(api, body, body.cmd);
      const ifGeneration = parseIfMatch(headers["if-match"]);
      const options = ifGeneration === undefined ? {} : { ifGeneration };
      const id = idOf(params);
      const seal = sealFor(api, id);
      const sandbox = await patchSandbox(api.use, id, (current) => toChanges(body, current, seal), options);
      return reply.header("etag", `"${sandbox.generation}"`).send(show(api, sandbox));
    },
  );

  const removeQuery = Type.Object(
    { keep_workspace: Type.Optional(Type.Boolean()), keep_snapshots: Type.Optional(Type.Boolean()) },
    strict,
  );
  const removed = { tags, summary: "Remove a sandbox", params: idParams, querystring: removeQuery };
  server.delete(
    "/v1/sandboxes/:id",
    { schema: { ...removed, response: { 204: Type.Null(), ...errors } } },
    async (request, reply) => {
      const { keep_workspace = false, keep_snapshots = false } = request.query;
      const how = keep_workspace ? "keep" : keep_snapshots ? "workspace" : "all";
      await removeSandbox(api.use, idOf(request.params), how);
      return reply.code(204).send(null);
    },
  );
}

function locationOf(body: string): string {
  return `/v1/sandboxes/${(JSON.parse(body) as { id: string }).id}`;
}

type CreateCall = {
  readonly body: Static<typeof createBody>;
  readonly query: Static<typeof createQuery>;
  readonly key: string | undefined;
  readonly caller: Caller;
  readonly url: string;
};

/** Creates a sandbox, once for all calls with the same key. */
export async function create(api: Api, call: CreateCall): Promise<StoredAnswer> {
  const { body, query, key, caller, url } = call;
  const { id: text, ...decided } = body;
  await checkPossible(api, body, body.cmd ?? null);
  const given = text === undefined ? undefined : parseSandboxId(text);
  if (text !== undefined && given === undefined) throw new ApiError("invalid_request", "body: id must be a ULID");
  const waits = query.wait !== "none";
  const act = async (id: ReturnType<typeof idOf>, attempted: boolean): Promise<StoredAnswer> => {
    const earlier = attempted ? api.use.records.get(id) : undefined;
    if (earlier !== undefined) return { status: 201, body: JSON.stringify(show(api, earlier)) };
    const policy = toPolicy(decided, sealFor(api, id));
    const fromSnapshot = originOf(api, body, policy.external);
    const creation = await createSandbox(api.use, id, { ...policy, fromSnapshot }, { keepFailed: !waits });
    const sandbox = waits ? await creation.running : creation.sandbox;
    return { status: 201, body: JSON.stringify(show(api, sandbox)) };
  };
  if (key === undefined) return act(given ?? newSandboxId(), false);
  const request = { body: withoutSecrets(body, (value) => api.secrets.fingerprint(value)), query };
  return api.idempotency.run(
    { caller: `${caller.kind}:${caller.name}`, key, request, url },
    () => given ?? newSandboxId(),
    act,
  );
}

/** The snapshot that a workspace begins with. Throws ApiError. */
function originOf(api: Api, body: Static<typeof createBody>, external: External): SnapshotId | null {
  const { from_snapshot = null, template = null } = body;
  if (from_snapshot !== null && template !== null)
    throw new ApiError("invalid_request", "body: from_snapshot and template exclude each other");
  const { snapshots } = api.use;
  if (template !== null) {
    const found = snapshots.store.template(template);
    if (found === undefined) throw notFound("There is no such template");
    return found.snapshotId;
  }
  return from_snapshot === null ? null : snapshots.findFor(external, parseSandboxId(from_snapshot)).id;
}

/** What a query narrows a list to. */
export function toFilter(query: Static<typeof filterQuery>): Omit<SandboxFilter, "after" | "limit"> {
  const { status, external_user_id, external_project_id, label } = query;
  const [key, ...value] = label?.split("=") ?? [];
  return {
    ...(status !== undefined && { status }),
    ...(external_user_id !== undefined && { externalUserId: external_user_id }),
    ...(external_project_id !== undefined && { externalProjectId: external_project_id }),
    ...(key !== undefined && { label: [key, value.join("=")] as const }),
  };
}

function list(api: Api, query: Static<typeof listQuery>): Static<typeof page> {
  const { limit = 50, cursor } = query;
  const after = cursor === undefined ? {} : { after: decodeCursor(cursor) };
  const found = api.use.store.list({ ...toFilter(query), ...after, limit: limit + 1 });
  const items = found.slice(0, limit);
  const next_cursor = found.length > limit ? encodeCursor(items.at(-1)!) : null;
  return { items: items.map((sandbox) => show(api, sandbox)), next_cursor };
}

/** The generations of an `If-Match` (RFC 9110 §13.1.1); undefined for none and for `*`. */
function parseIfMatch(header: string | undefined): readonly number[] | undefined {
  if (header === undefined || header.trim() === "*") return undefined;
  return header.split(",").map((tag) => Number(/^\s*"([0-9]+)"\s*$/.exec(tag)?.[1] ?? Number.NaN));
}
