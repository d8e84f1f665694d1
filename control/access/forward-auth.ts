import type { AccessReason, CredentialPlace, Grant } from "#contract/access.ts";
import type { Door } from "#contract/access-state.ts";
import { type AskingPage, isForeignPage } from "#contract/asking-page.ts";
import { type Credential, type CredentialSources, readCredentials } from "#contract/credentials.ts";
import { parseHost } from "#contract/preview-host.ts";
import type { SandboxId } from "#contract/sandbox-id.ts";
import { isShareToken } from "#contract/share-token.ts";
import type { Sandbox } from "../sandboxes/sandbox.ts";
import type { Access } from "./open-access.ts";

/** How somebody comes with a link: a person follows it or presses its button; what looks at links opens none. */
export type Opening = "navigation" | "button" | "look" | "program";

export type ForwardedRequest = CredentialSources &
  AskingPage & {
    readonly opening: Opening;
  };

export type Decision =
  | { readonly kind: "public" }
  | { readonly kind: "admitted"; readonly grant: Grant; readonly place: CredentialPlace }
  /** The link is good, and is used only when somebody presses the button. */
  | { readonly kind: "offered" }
  | ({ readonly kind: "denied"; readonly id: SandboxId | undefined } & Refusal);

type Refusal = { readonly reason: AccessReason; readonly place?: CredentialPlace };

/** `spend` counts a use, and says why when there was none left. */
type Finding =
  | { readonly grant: Grant; readonly limited: boolean; readonly spend: () => AccessReason | undefined }
  | { readonly reason: AccessReason };

/** Nobody's: what stands for a sandbox that does not exist, so that asking for one takes as long. */
const nobody = "00000000000000000000000000" as SandboxId;

/**
 * Decides about a request that another proxy asks about. A host that is no preview of ours is refused like a private one
 * without a credential.
 */
export async function decideForwarded(
  request: ForwardedRequest,
  access: Access,
  { domain, find, now }: { domain: string; find: (id: SandboxId) => Sandbox | undefined; now: () => number },
): Promise<Decision> {
  const { state } = access.keeper;
  const host = parseHost(request.host, domain);
  const known = host.kind === "preview" ? find(host.id) : undefined;
  const port = host.kind === "preview" ? host.port : 0;
  const sandbox = known?.ports.includes(port) ? known : undefined;
  if (sandbox?.visibility === "public") return { kind: "public" };
  const door: Door = { id: sandbox?.id ?? nobody, port, owner: sandbox?.external.userId ?? null };
  const isForeign = isForeignPage(request, { id: door.id, domain, origins: sandbox?.cors?.origins ?? [] });
  const sources = isForeign ? { ...request, cookie: undefined } : request;
  let first: Refusal | undefined;
  for (const credential of readCredentials(sources, state.settings!.secure)) {
    const { place } = credential;
    const found = await findGrant(credential, door, access);
    let reason = "grant" in found ? state.judge(found.grant, door, now()) : found.reason;
    if (reason === undefined && "grant" in found) {
      if (place === "query" && needsButton(request.opening, found.limited)) return { kind: "offered" };
      reason = found.spend();
      if (reason === undefined) return { kind: "admitted", grant: found.grant, place };
    }
    first ??= { reason: reason!, place };
  }
  return { kind: "denied", id: sandbox?.id, reason: "no_token", ...first };
}

function needsButton(opening: Opening, limited: boolean): boolean {
  switch (opening) {
    case "look":
      return true;
    case "navigation":
      return limited;
    case "button":
    case "program":
      return false;
    default: {
      const never: never = opening;
      throw new Error(`unknown opening: ${never}`);
    }
  }
}

async function findGrant({ token, place }: Credential, door: Door, access: Access): Promise<Finding> {
  if (place !== "cookie" && isShareToken(token)) return findShare(token, door, access);
  const verdict = await access.verifier.verify(token, place === "cookie");
  return "grant" in verdict ? { grant: verdict.grant, limited: false, spend: () => undefined } : verdict;
}

function findShare(token: string, { id, port }: Door, { shares }: Access): Finding {
  const seen = shares.redeem({ token, id, port, spend: false });
  if (seen.outcome === "refused") return { reason: seen.reason };
  const { share, expiresAt, issuedAt, limited } = seen;
  const grant: Grant = {
    ...{ kind: "share", share, sandboxId: id, port: seen.port ?? undefined, expiresAt, issuedAt, notBefore: 0 },
    ...{ subject: undefined, jti: undefined, kid: undefined, fingerprint: undefined },
  };
  const spend = () => {
    const used = shares.redeem({ token, id, port, spend: true });
    return used.outcome === "refused" ? used.reason : undefined;
  };
  return { grant, limited, spend };
}
