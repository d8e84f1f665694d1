import type {
  AccessKey,
  AccessMessage,
  AccessReason,
  AccessSettings,
  Grant,
  Revocation,
  RevocationMessage,
} from "./access.ts";
import type { SandboxId } from "./sandbox-id.ts";

/** What a credential is to open. */
export type Door = {
  readonly id: SandboxId;
  readonly port: number;
  /** The external user id that a token's subject must be; null: any. */
  readonly owner: string | null;
};

type Cutoff = { readonly at: number; readonly until: number | null };

/**
 * The settings and revocations that decide who gets in, as control last told them. Whatever was found out about a
 * credential is judged against them anew for each request, so nothing that is revoked lives on in a cache.
 */
export class AccessState {
  #settings: AccessSettings | undefined;
  #keys = new Map<string, AccessKey>();
  #fingerprints = new Set<string>();
  /** By kind and name. */
  #revocations = new Map<string, Cutoff>();

  /** Undefined until control has spoken: before that nobody is let in. */
  get settings(): AccessSettings | undefined {
    return this.#settings;
  }

  apply(message: AccessMessage | RevocationMessage): void {
    if (message.type === "revocation") return this.#revoke(message.revocation);
    this.#settings = message.settings;
    this.#keys = new Map(message.settings.keys.map((key) => [keyName(key.alg, key.kid), key]));
    this.#fingerprints = new Set(message.settings.keys.map(({ fingerprint }) => fingerprint));
    this.#revocations.clear();
    for (const revocation of message.revocations) this.#revoke(revocation);
  }

  /** The key that a token names, if it may be used with the token's algorithm. */
  key(alg: string, kid: string): AccessKey | undefined {
    return this.#keys.get(keyName(alg, kid));
  }

  /** Why a grant does not open this door now; undefined: it does. `now` in epoch milliseconds. */
  judge(grant: Grant, { id, port, owner }: Door, now: number): AccessReason | undefined {
    if (grant.expiresAt <= now) return "expired";
    if (grant.notBefore > now) return "not_yet_valid";
    if (grant.sandboxId !== id) return "wrong_sandbox";
    if (owner !== null && grant.share === undefined && grant.subject !== owner) return "wrong_user";
    if (grant.port !== undefined && grant.port !== port) return "wrong_port";
    return this.#isRevoked(grant, id, now) ? "revoked" : undefined;
  }

  #isRevoked({ share, fingerprint, kid, jti, subject, issuedAt }: Grant, id: SandboxId, now: number): boolean {
    if (share === undefined && (fingerprint === undefined || !this.#fingerprints.has(fingerprint))) return true;
    if (this.#revocations.size === 0) return false;
    const meets = (kind: Revocation["kind"], name: string) => {
      const cutoff = this.#revocations.get(`${kind}:${name}`);
      if (cutoff === undefined || (cutoff.until !== null && cutoff.until <= now)) return false;
      return issuedAt === undefined || issuedAt <= cutoff.at;
    };
    if (share !== undefined && meets("share", share)) return true;
    if (jti !== undefined && meets("jti", jti)) return true;
    if (kid !== undefined && meets("kid", kid)) return true;
    if (meets("sandbox", id)) return true;
    return subject !== undefined && (meets("subject", `:${subject}`) || meets("subject", `${id}:${subject}`));
  }

  #revoke(revocation: Revocation): void {
    const { until } = revocation;
    const always = { at: Number.POSITIVE_INFINITY, until };
    switch (revocation.kind) {
      case "share":
        return this.#note(`share:${revocation.share}`, always);
      case "jti":
        return this.#note(`jti:${revocation.jti}`, always);
      case "kid":
        return this.#note(`kid:${revocation.kid}`, always);
      case "subject":
        return this.#note(`subject:${revocation.sandboxId ?? ""}:${revocation.subject}`, { at: revocation.at, until });
      case "sandbox":
        return this.#note(`sandbox:${revocation.sandboxId}`, { at: revocation.at, until });
      default: {
        const never: never = revocation;
        throw new Error(`unknown revocation: ${JSON.stringify(never)}`);
      }
    }
  }

  /** Of two for one name the one that reaches further stands. */
  #note(name: string, cutoff: Cutoff): void {
    const known = this.#revocations.get(name);
    if (known === undefined || known.at <= cutoff.at) this.#revocations.set(name, cutoff);
  }
}

function keyName(alg: string, kid: string): string {
  return `${alg}:${kid}`;
}
