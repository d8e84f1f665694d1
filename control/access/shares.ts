import { createHash } from "node:crypto";
import { ulid } from "ulid";
import type { ShareOutcome, ShareRequest } from "#contract/access.ts";
import { type PreviewOrigin, previewUrl } from "#contract/preview-host.ts";
import type { SandboxId } from "#contract/sandbox-id.ts";
import { mintShareToken, readShareToken } from "#contract/share-token.ts";
import { ApiError, notFound } from "../api-error.ts";
import type { Sandbox } from "../sandboxes/sandbox.ts";
import type { Share, ShareStore } from "../sqlite/share-store.ts";
import type { AccessKeeper } from "./access-keeper.ts";

export type SharesOptions = {
  readonly store: ShareStore;
  readonly keeper: AccessKeeper;
  readonly origin: PreviewOrigin;
  /** Epoch milliseconds. */
  readonly now: () => number;
};

export type NewShare = {
  readonly ttlSeconds: number;
  readonly port: number | null;
  readonly maxUses: number | null;
  readonly label: string | null;
};

/** Links by which anybody who has one sees a private preview. */
export class Shares {
  readonly #options: SharesOptions;

  constructor(options: SharesOptions) {
    this.#options = options;
  }

  /** Makes a share; its URL is told here and nowhere else. Throws ApiError `invalid_request` for a port that is not declared. */
  create(sandbox: Sandbox, { ttlSeconds, port, maxUses, label }: NewShare): { share: Share; url: string } {
    const { store, keeper, origin, now } = this.#options;
    if (port !== null && !sandbox.ports.includes(port)) {
      throw new ApiError("invalid_request", `body: port ${port} is not declared by the sandbox`);
    }
    const createdAt = now();
    const share: Share = {
      ...{ id: ulid(createdAt), sandboxId: sandbox.id, label, port, maxUses, uses: 0, createdAt },
      ...{ expiresAt: createdAt + ttlSeconds * 1000, lastUsedAt: null },
    };
    const token = mintShareToken(share.id, keeper.sessionKey);
    store.add(share, hashOf(token));
    return { share, url: `${previewUrl(origin, sandbox.id, port ?? sandbox.ports[0]!)}?preview_token=${token}` };
  }

  /** The newest first. */
  list(sandboxId: SandboxId): readonly Share[] {
    return this.#options.store.list(sandboxId);
  }

  /** Ends a share and every session that came of it. Throws ApiError `not_found`. */
  revoke(sandboxId: SandboxId, id: string): Share {
    const share = this.#options.store.delete(sandboxId, id);
    if (share === undefined) throw notFound("There is no such share");
    this.#options.keeper.revoke({ kind: "share", share: share.id, until: share.expiresAt });
    return share;
  }

  /** Ends all shares of a sandbox, because it goes. */
  revokeAll(sandboxId: SandboxId): void {
    for (const { id } of this.list(sandboxId)) this.revoke(sandboxId, id);
  }

  /** Which preview a share's token is for, good or not: its port, or the first of its sandbox; undefined for none of ours. */
  placeOf(
    token: string,
    firstPort: (id: SandboxId) => number | undefined,
  ): { id: SandboxId; port: number } | undefined {
    const named = readShareToken(token, this.#options.keeper.sessionKey);
    const share = named === undefined ? undefined : this.#options.store.find(hashOf(token), named);
    const port = share && (share.port ?? firstPort(share.sandboxId));
    return share === undefined || port === undefined ? undefined : { id: share.sandboxId, port };
  }

  /** Says what a share's token opens, after it has counted a use if there is to be one. */
  redeem({ token, id, port, spend }: ShareRequest): ShareOutcome {
    const { store, keeper, now } = this.#options;
    const named = readShareToken(token, keeper.sessionKey);
    if (named === undefined) return { outcome: "refused", reason: "bad_signature" };
    const share = store.find(hashOf(token), named);
    if (share === undefined) return { outcome: "refused", reason: "revoked" };
    if (share.expiresAt <= now()) return { outcome: "refused", reason: "expired" };
    if (share.sandboxId !== id) return { outcome: "refused", reason: "wrong_sandbox" };
    if (share.port !== null && share.port !== port) return { outcome: "refused", reason: "wrong_port" };
    const isLeft = spend ? store.use(share.id, now()) : share.maxUses === null || share.uses < share.maxUses;
    if (!isLeft) return { outcome: "refused", reason: "expired" };
    const { expiresAt, createdAt: issuedAt, maxUses } = share;
    return {
      ...{ outcome: "granted", share: share.id, port: share.port, expiresAt, issuedAt },
      limited: maxUses !== null,
    };
  }
}

function hashOf(token: string): string {
  return createHash("sha256").update(token).digest("base64url");
}
