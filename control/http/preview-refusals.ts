import type { FastifyRequest } from "fastify";
import type { AccessReason, CredentialPlace } from "#contract/access.ts";
import type { RequestClass } from "#contract/gateway-api.ts";
import type { SandboxId } from "#contract/sandbox-id.ts";
import type { Api } from "./api.ts";
import { addressOf } from "./edge-access.ts";

export type PreviewRefusal = {
  readonly id: SandboxId | undefined;
  readonly reason: AccessReason;
  readonly place?: CredentialPlace | undefined;
  readonly class: RequestClass;
};

/** Records that a visitor was turned away here, as gateways tell of theirs. In the audit log it stands for the call. */
export function recordRefusal({ access, use }: Api, request: FastifyRequest, refusal: PreviewRefusal): void {
  const { id, reason, place, class: requestClass } = refusal;
  request.isRecorded = true;
  const isRecorded = access.audit.record({
    ...{ actorKind: "visitor", actorName: "visitor", ip: addressOf(request) },
    ...{ action: "preview.open", target: id ?? null, outcome: "refused" },
    detail: { reason, credential: place ?? null, class: requestClass, count: 1 },
  });
  if (!isRecorded || id === undefined) return;
  const event = { kind: "refuse", cause: "access", class: requestClass, outcome: reason } as const;
  use.records.note(id, { ...event, ...(place !== undefined && { credential: place }), detail: "1 times" });
}
