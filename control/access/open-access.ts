import type { Logger } from "pino";
import type { PreviewOrigin } from "#contract/preview-host.ts";
import { TokenVerifier } from "#contract/token-verifier.ts";
import { AuditLog } from "../audit/audit-log.ts";
import { AccessStore } from "../sqlite/access-store.ts";
import { AuditStore } from "../sqlite/audit-store.ts";
import type { Database } from "../sqlite/database.ts";
import { ShareStore } from "../sqlite/share-store.ts";
import type { AccessConfig } from "./access-config.ts";
import { AccessKeeper } from "./access-keeper.ts";
import type { ApiToken } from "./api-token.ts";
import { ApiTokens } from "./api-tokens.ts";
import { Shares } from "./shares.ts";
import { checkSignature } from "./signature.ts";

export type AccessOptions = {
  readonly database: Database;
  readonly config: AccessConfig;
  readonly apiTokens: readonly ApiToken[];
  readonly origin: PreviewOrigin;
  readonly logger: Logger;
  /** Epoch milliseconds. */
  readonly now: () => number;
};

/** Everything about who may see previews and who did what. */
export type Access = {
  readonly store: AccessStore;
  readonly keeper: AccessKeeper;
  readonly shares: Shares;
  readonly verifier: TokenVerifier;
  readonly audit: AuditLog;
  /** Who may call the API from beyond this machine, as a reload has it. */
  readonly tokens: ApiTokens;
  /** Lets go of what has no meaning any more. */
  readonly prune: (auditRetentionDays: number) => void;
};

const dayMs = 24 * 3600 * 1000;

/** Puts it together and reads the key sets. Throws KeySetError for a bad file. */
export async function openAccess({ database, config, apiTokens, origin, logger, now }: AccessOptions): Promise<Access> {
  const store = new AccessStore(database);
  const keeper = new AccessKeeper(config, { store, secure: origin.scheme === "https", logger, now });
  const shareStore = new ShareStore(database);
  const shares = new Shares({ store: shareStore, keeper, origin, now });
  const findKey = async () => void (await keeper.findKeys());
  const verifier = new TokenVerifier({ state: keeper.state, checkSignature, findKey, now });
  keeper.onChange(() => verifier.forget());
  const audit = new AuditLog(new AuditStore(database), now);
  await keeper.open();
  const prune = (auditRetentionDays: number) => {
    store.prune(now());
    shareStore.prune(now() - dayMs);
    if (auditRetentionDays > 0) audit.prune(now() - auditRetentionDays * dayMs);
  };
  return { store, keeper, shares, verifier, audit, tokens: new ApiTokens(apiTokens), prune };
}
