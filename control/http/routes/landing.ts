import type { FastifyReply, FastifyRequest } from "fastify";
import Type, { type Static } from "typebox";
import type { AccessReason, Grant } from "#contract/access.ts";
import { previewUrl } from "#contract/preview-host.ts";
import type { SandboxId } from "#contract/sandbox-id.ts";
import { isShareToken } from "#contract/share-token.ts";
import { withoutQueryTokens } from "#contract/token-query.ts";
import { type ReturnUrl, readReturnUrl } from "../../access/return-url.ts";
import { ApiError } from "../../api-error.ts";
import type { Api } from "../api.ts";
import { recordRefusal } from "../preview-refusals.ts";
import type { ApiServer } from "../server.ts";

const query = Type.Object({ token: Type.String(), return: Type.Optional(Type.String()) });

/** The landing for visitors with a token. */
export function landingRoutes(server: ApiServer, api: Api): void {
  const schema = { tags: ["access"], summary: "Send a visitor with a token on to a preview", querystring: query };
  server.get("/preview-auth", { schema }, async (request, reply) => land(api, request, request.query, reply));
}

/**
 * The preview host opens the session itself: the token goes there, if it is good for where its bearer wants to go. Nothing
 * is spent or opened here, whoever asks. A token is looked at before anything that it names, so that nobody learns which
 * sandboxes there are.
 */
async function land(
  api: Api,
  request: FastifyRequest,
  { token, return: back }: Static<typeof query>,
  reply: FastifyReply,
): Promise<FastifyReply> {
  reply.header("cache-control", "no-store").header("referrer-policy", "no-referrer");
  const wanted = back === undefined ? undefined : readReturnUrl(back, api.resources.origin);
  if (back !== undefined && wanted === undefined) {
    throw new ApiError("invalid_request", "query: return must be a preview of the token's sandbox");
  }
  const found = isShareToken(token) ? findShare(api, token, wanted) : await findToken(api, token, wanted);
  if ("reason" in found) {
    recordRefusal(api, request, { id: wanted?.id, reason: found.reason, place: "query", class: "navigation" });
    throw new ApiError("unauthorized", "unauthorized");
  }
  const url = new URL(found.href);
  url.search = withToken(withoutQueryTokens(`/${url.search}`).slice(1), token);
  return reply.code(303).header("location", url.href).send();
}

type Found = { readonly href: string } | { readonly reason: AccessReason };

/** A share without a place to go to leads to the sandbox that it is for. */
function findShare({ access, resources, use }: Api, token: string, wanted: ReturnUrl | undefined): Found {
  const target = wanted ?? access.shares.placeOf(token, (id) => use.records.get(id)?.ports[0]);
  if (target === undefined) return { reason: "bad_signature" };
  const { id, port } = target;
  const outcome = access.shares.redeem({ token, id, port, spend: false });
  if (outcome.outcome === "refused") return outcome;
  return { href: wanted?.href ?? previewUrl(resources.origin, id, port) };
}

async function findToken(api: Api, token: string, wanted: ReturnUrl | undefined): Promise<Found> {
  const { access, resources, use } = api;
  const found = await access.verifier.verify(token, false);
  if ("reason" in found) return found;
  const { grant } = found;
  const target = wanted ?? ownPlace(api, grant);
  const sandbox = target && use.records.get(target.id);
  if (target === undefined || !sandbox?.ports.includes(target.port)) return { reason: "wrong_sandbox" };
  const door = { id: target.id, port: target.port, owner: sandbox.external.userId };
  const reason = access.keeper.state.judge(grant, door, use.now());
  return reason === undefined ? { href: wanted?.href ?? previewUrl(resources.origin, door.id, door.port) } : { reason };
}

/** Where a token leads that comes without a place to go to: the port that it names, or the first one. */
function ownPlace({ use }: Api, { sandboxId, port }: Grant): { id: SandboxId; port: number } | undefined {
  const sandbox = sandboxId === undefined ? undefined : use.records.get(sandboxId);
  return sandbox && { id: sandbox.id, port: port ?? sandbox.ports[0]! };
}

function withToken(search: string, token: string): string {
  return `${search}${search === "" ? "?" : "&"}preview_token=${encodeURIComponent(token)}`;
}
