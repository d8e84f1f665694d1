import type { FastifyReply, FastifyRequest } from "fastify";
import { parseSandboxId } from "#contract/sandbox-id.ts";
import { actionOf } from "../audit/actions.ts";
import type { AuditLog } from "../audit/audit-log.ts";
import type { AuditEntry } from "../sqlite/audit-store.ts";
import { addressOf } from "./edge-access.ts";
import type { ApiServer } from "./server.ts";

const reading: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);
const refusals: ReadonlySet<number> = new Set([401, 403, 429]);
/** Of what was sent only the names of its fields are kept, and so many. */
const mostFields = 40;

declare module "fastify" {
  interface FastifyRequest {
    /** The id of what a call has made. */
    made: string | null;
    isRecorded: boolean;
  }
}

/**
 * Records every call that changes something, and every refusal: what the gateway says for itself is no call of anybody's.
 * It is done before the answer goes out: a caller who hangs up gets none.
 */
export function auditCalls(server: ApiServer, audit: AuditLog): void {
  server.decorateRequest("made", null);
  server.decorateRequest("isRecorded", false);
  server.addHook("onSend", async (request, reply, payload) => {
    // An answer that could not be sent is followed by one that says so.
    if (request.isRecorded) return payload;
    request.isRecorded = true;
    if (reply.statusCode === 201 && typeof payload === "string") request.made = idIn(payload);
    const entry = entryOf(request, reply);
    if (entry !== undefined) audit.record(entry);
    return payload;
  });
}

function entryOf(request: FastifyRequest, { statusCode }: FastifyReply): AuditEntry | undefined {
  const { method, routeOptions, caller, made } = request;
  if (caller?.kind === "gateway") return undefined;
  const refused = refusals.has(statusCode);
  if (reading.has(method) && !refused) return undefined;
  const outcome = refused ? "refused" : statusCode < 400 ? "done" : "failed";
  return {
    actorKind: caller?.kind ?? "unknown",
    actorName: caller?.name ?? "unknown",
    ip: addressOf(request),
    action: actionOf(method, routeOptions.url),
    target: targetOf(request.params) ?? made,
    outcome,
    detail: { method, status: statusCode, ...detailOf(request) },
  };
}

function targetOf(params: unknown): string | null {
  const { id } = (params ?? {}) as { id?: string };
  return id === undefined ? null : (parseSandboxId(id) ?? id.slice(0, 64));
}

function detailOf({ params, body, made }: FastifyRequest): Readonly<Record<string, unknown>> {
  const named = (params ?? {}) as Record<string, string | undefined>;
  // Whatever else stands there may be a secret.
  const [share, snapshot, revocation] = ["share", "snapshot", "revocation"].map((name) =>
    named[name] === undefined ? undefined : (parseSandboxId(named[name]) ?? "malformed"),
  );
  const isObject = typeof body === "object" && body !== null && !Array.isArray(body);
  const fields = isObject
    ? Object.keys(body)
        .slice(0, mostFields)
        .map((name) => name.slice(0, 64))
    : [];
  return {
    ...(share !== undefined && { share }),
    ...(snapshot !== undefined && { snapshot }),
    ...(revocation !== undefined && { revocation }),
    ...(made !== null && { made }),
    ...(fields.length > 0 && { fields }),
  };
}

function idIn(payload: string): string | null {
  try {
    const { id } = JSON.parse(payload) as { id?: unknown };
    return typeof id === "string" ? id : null;
  } catch {
    return null;
  }
}
