import type { AccessReason, CredentialPlace, Grant } from "#contract/access.ts";
import type { Door } from "#contract/access-state.ts";
import { type Credential, type CredentialSources, readCredentials } from "#contract/credentials.ts";
import { parseHost } from "#contract/preview-host.ts";
import type { SandboxId } from "#contract/sandbox-id.ts";
import { isShareToken } from "#contract/share-token.ts";
import type { Sandbox } from "../sandboxes/sandbox.ts";
import type { Access } from "./open-access.ts";

export type Decision =
  | { readonly kind: "public" }
  | { readonly kind: "admitted"; readonly grant: Grant; readonly place: CredentialPlace }
  | { readonly kind: "denied"; readonly reason: AccessReason; readonly id: SandboxId | undefined };

export type ForwardedRequest = CredentialSources & { readonly host: string | undefined };

/** Nobody's: what stands for a sandbox that does not exist, so that asking for one takes as long. */
const nobody = "00000000000000000000000000" as SandboxId;

/**
 * Decides about a request that another proxy asks about. A host that is no preview of ours is refused like a private one
 * without a credential.
 */
export async function decideForwarded(
  request: ForwardedRequest,
  { keeper, verifier, shares }: Access,
  { domain, find, now }: { domain: string; find: (id: SandboxId) => Sandbox | undefined; now: () => number },
): Promise<Decision> {
  const host = parseHost(request.host, domain);
  const known = host.kind === "preview" ? find(host.id) : undefined;
  const port = host.kind === "preview" ? host.port : 0;
  const sandbox = known?.ports.includes(port) ? known : undefined;
  if (sandbox?.visibility === "public") return { kind: "public" };
  const door: Door = { id: sandbox?.id ?? nobody, port, owner: sandbox?.external.userId ?? null };
  let first: AccessReason | undefined;
  for (const credential of readCredentials(request, keeper.state.settings!.secure)) {
    const found = isShareToken(credential.token)
      ? useShare(credential, door, shares)
      : await verifier.verify(credential.token, credential.place === "cookie");
    const reason = "grant" in found ? keeper.state.judge(found.grant, door, now()) : found.reason;
    if (reason === undefined && "grant" in found) {
      return { kind: "admitted", grant: found.grant, place: credential.place };
    }
    first ??= reason;
  }
  return { kind: "denied", reason: first ?? "no_token", id: sandbox?.id };
}

/** A share that may be used only so often cannot be offered by a page here: it opens at the gateway alone. */
function useShare({ token, place }: Credential, { id, port }: Door, shares: Access["shares"]) {
  if (place === "cookie") return { reason: "malformed" } as const;
  const seen = shares.redeem({ token, id, port, spend: false });
  const used = seen.outcome === "granted" && !seen.limited ? shares.redeem({ token, id, port, spend: true }) : seen;
  if (used.outcome === "refused") return { reason: used.reason };
  if (used.limited) return { reason: "no_token" } as const;
  const { share, expiresAt, issuedAt } = used;
  const grant: Grant = {
    ...{ kind: "share", share, sandboxId: id, port: used.port ?? undefined, expiresAt, issuedAt, notBefore: 0 },
    ...{ subject: undefined, jti: undefined, kid: undefined, fingerprint: undefined },
  };
  return { grant };
}
