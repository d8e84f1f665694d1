import type { AccessReason, Grant } from "./access.ts";
import { parseSandboxId } from "./sandbox-id.ts";

/** A JWS in its compact form (RFC 7515 §7.1), taken apart and not yet believed. */
export type TokenParts = {
  readonly alg: string;
  readonly kid: string;
  readonly payload: Readonly<Record<string, unknown>>;
};

/** In characters: a longer one is no token of anybody's. */
export const longestToken = 8192;
export const previewAudience = "sandbox-preview";
export const sessionAudience = "sandbox-session";
export const longestLifeSeconds = 31 * 24 * 3600;
/** Clocks of integrators may be ahead of ours by so much. */
const leewaySeconds = 60;
const compact = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)$/;
const longestSubject = 255;

/**
 * Takes a token apart. Undefined for what is not a compact JWS over a JSON object, has critical extensions or an unencoded
 * payload (RFC 7797), or a signature that could be written otherwise (RFC 4648 §3.5): one token has one name.
 */
export function readToken(text: string): TokenParts | undefined {
  if (text.length > longestToken) return undefined;
  const match = compact.exec(text);
  if (match === null) return undefined;
  if (Buffer.from(match[3]!, "base64url").toString("base64url") !== match[3]) return undefined;
  const header = readObject(match[1]!);
  const payload = readObject(match[2]!);
  if (header === undefined || payload === undefined) return undefined;
  const { alg, kid, crit, b64 } = header;
  if (typeof alg !== "string" || crit !== undefined || b64 !== undefined) return undefined;
  return { alg, kid: typeof kid === "string" ? kid : "", payload };
}

function readObject(part: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, "base64url").toString("utf8"));
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

/** Whether a token was meant for previews, good or bad: such a one is never passed on to an app. */
export function isPreviewToken(text: string): boolean {
  const payload = readToken(text)?.payload;
  if (payload === undefined) return false;
  return (
    payload.sandbox_id !== undefined || hasAudience(payload, previewAudience) || hasAudience(payload, sessionAudience)
  );
}

function hasAudience({ aud }: Readonly<Record<string, unknown>>, audience: string): boolean {
  return aud === audience || (Array.isArray(aud) && aud.includes(audience));
}

export type SignedBy = { readonly kid: string; readonly fingerprint: string };
export type Claimed = { readonly grant: Grant } | { readonly reason: AccessReason };

/** What an integrator's token grants, once its signature was found good. `now` in epoch milliseconds. */
export function readPreviewClaims(payload: Readonly<Record<string, unknown>>, by: SignedBy, now: number): Claimed {
  const { aud, sandbox_id, sub, exp } = payload;
  if ([aud, sandbox_id, sub, exp].includes(undefined)) return { reason: "missing_claim" };
  if (!hasAudience(payload, previewAudience)) return { reason: "wrong_audience" };
  if (!isSubject(sub)) return { reason: "malformed" };
  return readCommon(payload, now, { kind: "token", subject: sub, share: undefined, ...by });
}

/** What one of our own session cookies grants, once its signature was found good. */
export function readSessionClaims(payload: Readonly<Record<string, unknown>>, now: number): Claimed {
  const { sub, share, kid, via } = payload;
  if (!hasAudience(payload, sessionAudience)) return { reason: "wrong_audience" };
  const text = (value: unknown) => (typeof value === "string" ? value : undefined);
  const origin = { share: text(share), kid: text(kid), fingerprint: text(via) };
  return readCommon(payload, now, { kind: "session", subject: isSubject(sub) ? sub : undefined, ...origin });
}

type Origin = Pick<Grant, "kind" | "subject" | "share" | "kid" | "fingerprint">;

function readCommon(payload: Readonly<Record<string, unknown>>, now: number, origin: Origin): Claimed {
  const { sandbox_id, exp, nbf, iat, jti, port } = payload;
  const isSound =
    typeof sandbox_id === "string" &&
    isTime(exp) &&
    exp <= now / 1000 + longestLifeSeconds + leewaySeconds &&
    (nbf === undefined || isTime(nbf)) &&
    (iat === undefined || isTime(iat)) &&
    (jti === undefined || (typeof jti === "string" && jti !== "")) &&
    (port === undefined || Number.isSafeInteger(port));
  if (!isSound) return { reason: "malformed" };
  const grant: Grant = {
    ...origin,
    sandboxId: parseSandboxId(sandbox_id),
    port: port as number | undefined,
    expiresAt: exp * 1000,
    // What was issued in the future would escape a revocation of now.
    notBefore: Math.max(nbf ?? 0, iat === undefined ? 0 : iat - leewaySeconds) * 1000,
    issuedAt: iat === undefined ? undefined : iat * 1000,
    jti: jti as string | undefined,
  };
  return { grant };
}

/** A NumericDate (RFC 7519 §2). */
function isTime(value: unknown): value is number {
  return typeof value === "number" && value >= 0 && value < 1e12;
}

/** It becomes a header's value: nothing in it may end that or be lost around it. */
function isSubject(value: unknown): value is string {
  return (
    typeof value === "string" &&
    value.length > 0 &&
    value.length <= longestSubject &&
    value.trim() === value &&
    value.isWellFormed() &&
    !/[\x00-\x1f\x7f]/.test(value)
  );
}
