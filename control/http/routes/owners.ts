import type { FastifyRequest } from "fastify";
import Type, { type Static } from "typebox";
import { claimSandbox } from "../../sandboxes/claim-sandbox.ts";
import { type OwnerKind, purgeOwner } from "../../sandboxes/purge-owner.ts";
import { type Api, idOf } from "../api.ts";
import { addressOf } from "../edge-access.ts";
import { externalId, idParams, shortError, versionedError } from "../schemas.ts";
import type { ApiServer } from "../server.ts";

const strict = { additionalProperties: false } as const;
const tags = ["owners"];
const nullable = <const T extends Type.TSchema>(schema: T) => Type.Union([schema, Type.Null()]);

const claimBody = Type.Object(
  {
    external_user_id: externalId,
    external_project_id: Type.Optional(nullable(externalId)),
    external_workspace_id: Type.Optional(nullable(externalId)),
  },
  strict,
);
const claimed = Type.Object({
  id: Type.String(),
  external_user_id: Type.String(),
  external_project_id: nullable(Type.String()),
  external_workspace_id: nullable(Type.String()),
  claimed: Type.Literal(true),
});
const purged = Type.Object({ purged_count: Type.Integer(), freed_bytes: Type.Integer() });
const most = nullable(Type.Integer());
const owner = Type.Object({
  id: Type.String(),
  sandboxes: Type.Integer(),
  running: Type.Integer(),
  memory_bytes: Type.Integer(),
  limits: Type.Object({ sandboxes: most, running: most, memory_bytes: most }),
});
/** Of an integrator's own making: it may hold anything. */
const ownerParams = Type.Object({ id: Type.String({ minLength: 1, maxLength: 255 }) });

/** Whose sandboxes are: claim them, see what somebody has, and remove all of it. */
export function ownerRoutes(server: ApiServer, api: Api): void {
  const read = { tags, summary: "What an external user has, and may have", params: ownerParams };
  server.get(
    "/v1/external-users/:id",
    { schema: { ...read, response: { 200: owner, "4xx": versionedError } } },
    async ({ params }) => showOwner(api, params.id),
  );
  for (const [prefix, error] of [
    ["/v1/sandboxes/:id", versionedError],
    ["/sandbox/:id", shortError],
  ] as const) {
    const summary = "Make a sandbox, or a workspace that one left, somebody else's";
    const schema = { tags, summary, params: idParams, body: claimBody };
    server.post(
      `${prefix}/claim`,
      { schema: { ...schema, response: { 200: claimed, "4xx": error, "5xx": error } } },
      async ({ params, body }) => claim(api, params.id, body),
    );
  }
  for (const [prefix, error] of [
    ["/v1", versionedError],
    ["", shortError],
  ] as const) {
    for (const kind of ["user", "project"] as const) {
      const schema = { tags, summary: `Remove everything of an external ${kind}`, params: ownerParams };
      server.post(
        `${prefix}/external-${kind}s/:id/purge`,
        { schema: { ...schema, response: { 200: purged, "4xx": error, "5xx": error } } },
        async (request) => purge(api, request, kind, request.params.id),
      );
    }
  }
}

function showOwner({ use: { limits } }: Api, id: string): Static<typeof owner> {
  const { sandboxes, running, memoryBytes } = limits.useOf(id);
  const { rules } = limits;
  return {
    ...{ id, sandboxes, running, memory_bytes: memoryBytes },
    limits: { sandboxes: rules.sandboxes, running: rules.running, memory_bytes: rules.memoryBytes },
  };
}

async function claim(api: Api, text: string, body: Static<typeof claimBody>): Promise<Static<typeof claimed>> {
  const id = idOf({ id: text });
  const { external_user_id, external_project_id = null, external_workspace_id = null } = body;
  const external = { userId: external_user_id, projectId: external_project_id, workspaceId: external_workspace_id };
  await claimSandbox(api.use, id, external);
  return { id, external_user_id, external_project_id, external_workspace_id, claimed: true };
}

/** The audit log has each sandbox, beside the call itself. */
async function purge(
  { use, access }: Api,
  request: FastifyRequest,
  kind: OwnerKind,
  externalId: string,
): Promise<Static<typeof purged>> {
  let [purged_count, freed_bytes] = [0, 0];
  await purgeOwner(use, kind, externalId, (id, bytes) => {
    purged_count++;
    freed_bytes += bytes;
    access.audit.record({
      ...{ actorKind: request.caller.kind, actorName: request.caller.name, ip: addressOf(request) },
      ...{ action: "sandbox.purge", target: id, outcome: "done", detail: { via: `external-${kind}.purge` } },
    });
  });
  return { purged_count, freed_bytes };
}
