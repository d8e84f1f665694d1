import { createHmac } from "node:crypto";
import type { Grant } from "./access.ts";
import { longestLifeSeconds, sessionAudience } from "./preview-token.ts";

/** Names our own key in the header of a session. */
export const sessionKid = "session";

const header = encode({ alg: "HS256", kid: sessionKid, typ: "JWT" });

/**
 * A session that lives on what a grant allows: as long, for the same subject and port, and revoked with it. `sessionKey`
 * is base64url, `now` epoch milliseconds.
 */
export function mintSession(grant: Grant, sessionKey: string, now: number): { token: string; maxAgeSeconds: number } {
  const latest = now / 1000 + longestLifeSeconds;
  const exp = Math.floor(Math.min(grant.expiresAt / 1000, latest));
  const payload = encode({
    aud: sessionAudience,
    sandbox_id: grant.sandboxId,
    sub: grant.subject,
    port: grant.port,
    exp,
    iat: grant.issuedAt === undefined ? undefined : grant.issuedAt / 1000,
    jti: grant.jti,
    share: grant.share,
    kid: grant.kid,
    via: grant.fingerprint,
  });
  const signed = `${header}.${payload}`;
  const signature = createHmac("sha256", Buffer.from(sessionKey, "base64url")).update(signed).digest("base64url");
  return { token: `${signed}.${signature}`, maxAgeSeconds: Math.max(0, Math.floor(exp - now / 1000)) };
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}
