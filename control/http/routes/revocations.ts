import Type, { type Static } from "typebox";
import type { Revocation } from "#contract/access.ts";
import { parseSandboxId } from "#contract/sandbox-id.ts";
import { ApiError, notFound } from "../../api-error.ts";
import type { StoredRevocation } from "../../sqlite/access-store.ts";
import type { Api } from "../api.ts";
import { toTime } from "../resource.ts";
import { versionedError } from "../schemas.ts";
import type { ApiServer } from "../server.ts";

const strict = { additionalProperties: false } as const;
const tags = ["access"];
const errors = { "4xx": versionedError, "5xx": versionedError };
const nullable = <const T extends Type.TSchema>(schema: T) => Type.Union([schema, Type.Null()]);
const name = Type.String({ minLength: 1, maxLength: 512 });

const body = Type.Object(
  {
    jti: Type.Optional(name),
    subject: Type.Optional(name),
    kid: Type.Optional(name),
    sandbox_id: Type.Optional(Type.String()),
  },
  {
    ...strict,
    description: "A jti, a kid, a subject (of one sandbox or of all), or all that a sandbox was opened with",
  },
);
const revocation = Type.Object({
  id: Type.String(),
  kind: Type.String(),
  jti: nullable(Type.String()),
  subject: nullable(Type.String()),
  kid: nullable(Type.String()),
  share: nullable(Type.String()),
  sandbox_id: nullable(Type.String()),
  created_at: Type.String({ format: "date-time" }),
  until: nullable(Type.String({ format: "date-time" })),
});
const list = Type.Object({ items: Type.Array(revocation), next_cursor: Type.Null() });

/** Taking back what integrators' tokens allow, in every gateway worker at once. */
export function revocationRoutes(server: ApiServer, { access: { keeper, store }, use }: Api): void {
  const path = "/v1/revocations";
  const made = { tags, summary: "Refuse credentials from now on, and end what they opened", body };
  server.post(path, { schema: { ...made, response: { 201: revocation, ...errors } } }, async (request, reply) => {
    const now = use.now();
    const asked = toRevocation(request.body, now);
    return reply.code(201).send(show({ id: keeper.revoke(asked), revocation: asked, createdAt: now }));
  });

  const listed = { tags, summary: "What is revoked, newest first", response: { 200: list, ...errors } };
  server.get(path, { schema: listed }, async () => ({
    items: store.revocations(use.now()).map(show),
    next_cursor: null,
  }));

  const taken = { tags, summary: "Take a revocation back", params: Type.Object({ revocation: Type.String() }) };
  server.delete(
    `${path}/:revocation`,
    { schema: { ...taken, response: { 204: Type.Null(), ...errors } } },
    async ({ params }, reply) => {
      if (!keeper.restore(params.revocation.toUpperCase())) throw notFound("There is no such revocation");
      return reply.code(204).send(null);
    },
  );
}

/** Tokens that end later than they may are good in their last 31 days: a revocation outlives those of a year as well. */
const revocationMs = 400 * 24 * 3600 * 1000;

/** What of these is revoked, and until when; a key stays revoked. */
function toRevocation({ jti, subject, kid, sandbox_id }: Static<typeof body>, now: number): Revocation {
  const until = now + revocationMs;
  const sandboxId = sandbox_id === undefined ? undefined : parseSandboxId(sandbox_id);
  if (sandbox_id !== undefined && sandboxId === undefined) {
    throw new ApiError("invalid_request", "body: sandbox_id must be a ULID");
  }
  const named = [jti, subject, kid].filter((each) => each !== undefined).length;
  if (
    named > 1 ||
    (named === 0 && sandboxId === undefined) ||
    (sandboxId !== undefined && subject === undefined && named > 0)
  ) {
    throw new ApiError(
      "invalid_request",
      "body: name a jti, a kid, a subject with or without a sandbox_id, or a sandbox_id",
    );
  }
  if (jti !== undefined) return { kind: "jti", jti, until };
  if (kid !== undefined) return { kind: "kid", kid, until: null };
  if (subject !== undefined) return { kind: "subject", subject, sandboxId: sandboxId ?? null, at: now, until };
  return { kind: "sandbox", sandboxId: sandboxId!, at: now, until };
}

function show({ id, revocation: said, createdAt }: StoredRevocation): Static<typeof revocation> {
  return {
    ...{ id, kind: said.kind, created_at: toTime(createdAt), until: said.until === null ? null : toTime(said.until) },
    jti: said.kind === "jti" ? said.jti : null,
    kid: said.kind === "kid" ? said.kid : null,
    share: said.kind === "share" ? said.share : null,
    subject: said.kind === "subject" ? said.subject : null,
    sandbox_id: said.kind === "subject" || said.kind === "sandbox" ? said.sandboxId : null,
  };
}
