import Type, { type Static } from "typebox";
import type { CertificateStatus } from "../../certificates/edge.ts";
import type { Api } from "../api.ts";
import { toTime } from "../resource.ts";
import { versionedError } from "../schemas.ts";
import type { ApiServer } from "../server.ts";

const nullable = <const T extends Type.TSchema>(schema: T) => Type.Union([schema, Type.Null()]);
const time = Type.String({ format: "date-time" });

const answer = Type.Object({
  tls: Type.Boolean({ description: "Without TLS everything below but `files` is null or empty" }),
  source: nullable(Type.String({ description: "self-signed, file, acme or traefik" })),
  from: nullable(Type.String({ description: "Where the one in use came from, as long as the source has given none" })),
  names: Type.Array(Type.String()),
  issuer: nullable(Type.String()),
  fingerprint: nullable(Type.String({ description: "SHA-256 of the leaf" })),
  not_before: nullable(time),
  not_after: nullable(time),
  next_renewal_at: nullable(time),
  last_error: nullable(Type.Object({ at: time, message: Type.String() })),
  served: nullable(Type.Boolean({ description: "Whether a handshake with Traefik showed it; null: nobody answered" })),
  trust_anchor: nullable(Type.String({ description: "The file with the authority that clients must trust" })),
  files: Type.Array(Type.Object({ file: Type.String(), problem: Type.String() }), {
    description: "Files in Traefik's dynamic directory that keep it from taking changes, or get in the way",
  }),
});

/** What visitors are shown, for the operator. */
export function certificateRoutes(server: ApiServer, { edge }: Api): void {
  const response = { 200: answer, "4xx": versionedError, "5xx": versionedError };
  const summary = "The wildcard certificate: where it comes from, how long it lasts, what went wrong";
  server.get("/v1/certificate", { schema: { tags: ["service"], summary, response } }, async () => show(edge.status()));
}

function show(status: CertificateStatus): Static<typeof answer> {
  const files = status.files.map((each) => ({ ...each }));
  const tls = status.tls ? status : undefined;
  const { names = [], issuer = null, fingerprint = null, notBefore, notAfter } = tls?.certificate ?? {};
  const lastError = tls?.lastError ?? null;
  return {
    tls: status.tls,
    source: tls?.source ?? null,
    from: tls?.from ?? null,
    names: [...names],
    issuer,
    fingerprint,
    not_before: toTimeOrNull(notBefore),
    not_after: toTimeOrNull(notAfter),
    next_renewal_at: toTimeOrNull(tls?.nextRenewalAt),
    last_error: lastError === null ? null : { at: toTime(lastError.at.getTime()), message: lastError.message },
    served: tls?.served ?? null,
    trust_anchor: tls?.trustAnchor ?? null,
    files,
  };
}

function toTimeOrNull(date: Date | null | undefined): string | null {
  return date ? toTime(date.getTime()) : null;
}
