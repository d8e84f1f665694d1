import {
  decodeRefusalReport,
  decodeShareRequest,
  type KeyAnswer,
  type RefusalReport,
  type ShareOutcome,
} from "#contract/access.ts";
import { gatewayApiHost, gatewayApiPaths } from "#contract/gateway-api.ts";
import type { Api } from "../api.ts";
import type { ApiServer } from "../server.ts";
import { decodeBody } from "./gateway.ts";

/** What the gateway asks and tells about private previews, under its own host alone. */
export function gatewayAccessRoutes(server: ApiServer, api: Api): void {
  const options = { constraints: { host: gatewayApiHost }, config: { gateway: true }, schema: { hide: true } };
  const { shares, keeper, audit } = api.access;

  server.post(
    gatewayApiPaths.shares,
    options,
    async (request): Promise<ShareOutcome> => shares.redeem(decodeBody(request, decodeShareRequest)),
  );

  server.post(gatewayApiPaths.keys, options, async (): Promise<KeyAnswer> => keeper.findKeys());

  server.post(gatewayApiPaths.refusals, options, async (request, reply) => {
    const report = decodeBody(request, decodeRefusalReport);
    audit.recordPreviewRefusals(report);
    noteRefusals(api, report);
    return reply.code(204).send();
  });
}

/** For whoever asks later why a preview did not open. */
function noteRefusals({ use }: Api, { refusals }: RefusalReport): void {
  for (const { id, reason, place, class: requestClass, count } of refusals) {
    if (use.records.get(id) === undefined) continue;
    const event = { kind: "refuse", cause: "access", class: requestClass, outcome: reason } as const;
    use.records.note(id, { ...event, ...(place !== null && { credential: place }), detail: `${count} times` });
  }
}
