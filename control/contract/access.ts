import * as decode from "./decode.ts";
import { requestClasses } from "./request-class.ts";
import { parseSandboxId, type SandboxId } from "./sandbox-id.ts";

/** Why a credential does not open a private preview. */
export const accessReasons = [
  "no_token",
  "malformed",
  "bad_signature",
  "missing_claim",
  "wrong_audience",
  "expired",
  "not_yet_valid",
  "wrong_sandbox",
  "wrong_user",
  "wrong_port",
  "revoked",
] as const;
export type AccessReason = (typeof accessReasons)[number];

/** Where a credential was found, in the order in which they are tried. */
export const credentialPlaces = ["cookie", "header", "bearer", "query"] as const;
export type CredentialPlace = (typeof credentialPlaces)[number];

export const denyModes = ["redirect", "meta-refresh"] as const;
export type DenyMode = (typeof denyModes)[number];

const id = decode.parsed(decode.string, parseSandboxId, "a sandbox id");
const place = decode.literal(...credentialPlaces);

/** Told apart by its algorithm: a key is for that one alone. `fingerprint` names the key without giving it away. */
const key = decode.union("alg", {
  HS256: decode.object({
    alg: decode.literal("HS256"),
    kid: decode.string,
    fingerprint: decode.string,
    /** base64url. */
    secret: decode.string,
  }),
  EdDSA: publicKey("EdDSA"),
  ES256: publicKey("ES256"),
  RS256: publicKey("RS256"),
});
export type AccessKey = ReturnType<typeof key>;

function publicKey<const T extends string>(algorithm: T) {
  return decode.object({
    alg: decode.literal(algorithm),
    kid: decode.string,
    fingerprint: decode.string,
    /** Its public members alone (RFC 7517 §4). */
    jwk: decode.record(decode.string),
  });
}

const settings = decode.object({
  /** Previews are reached over TLS: the session cookie has its strict form. */
  secure: decode.boolean,
  /** Signs session cookies and share tokens, base64url. */
  sessionKey: decode.string,
  keys: decode.array(key),
  /** An unknown `kid` may be one that a key set at a URL has got meanwhile. */
  keysMayGrow: decode.boolean,
  /** `{sandbox_id}` and `{return}` are replaced. */
  redirectUrl: decode.nullable(decode.string),
  denyMode: decode.literal(...denyModes),
});
export type AccessSettings = ReturnType<typeof settings>;

/** Epoch milliseconds after which every credential that it meets has expired anyway; null: never. */
const until = decode.nullable(decode.count);

const revocation = decode.union("kind", {
  share: decode.object({ kind: decode.literal("share"), share: decode.string, until }),
  jti: decode.object({ kind: decode.literal("jti"), jti: decode.string, until }),
  kid: decode.object({ kind: decode.literal("kid"), kid: decode.string, until }),
  /** What was issued to a subject up to `at`, or does not say when; of one sandbox, or of all. */
  subject: decode.object({
    kind: decode.literal("subject"),
    subject: decode.string,
    sandboxId: decode.nullable(id),
    at: decode.count,
    until,
  }),
  /** What was issued for a sandbox up to `at`, or does not say when. */
  sandbox: decode.object({ kind: decode.literal("sandbox"), sandboxId: id, at: decode.count, until }),
});
export type Revocation = ReturnType<typeof revocation>;

/** On the routes stream: everything about access, first of all and whenever the settings change. */
export const accessMessage = decode.object({
  type: decode.literal("access"),
  settings,
  revocations: decode.array(revocation),
});
export type AccessMessage = ReturnType<typeof accessMessage>;

/** On the routes stream: one more revocation. */
export const revocationMessage = decode.object({ type: decode.literal("revocation"), revocation });
export type RevocationMessage = ReturnType<typeof revocationMessage>;

const shareRequest = decode.object({
  token: decode.string,
  id,
  port: decode.count,
  /** Whether this is a use of the share, or a mere look at it. */
  spend: decode.boolean,
});
export type ShareRequest = ReturnType<typeof shareRequest>;

const shareOutcome = decode.union("outcome", {
  granted: decode.object({
    outcome: decode.literal("granted"),
    share: decode.string,
    port: decode.nullable(decode.count),
    /** Epoch milliseconds. */
    expiresAt: decode.count,
    issuedAt: decode.count,
    /** It may be used only so often. */
    limited: decode.boolean,
  }),
  refused: decode.object({ outcome: decode.literal("refused"), reason: decode.literal(...accessReasons) }),
});
export type ShareOutcome = ReturnType<typeof shareOutcome>;

const keyAnswer = decode.object({
  /** The settings after the key set was looked at again. */
  access: accessMessage,
  /** Asking again before so many milliseconds does nothing. */
  retryAfterMs: decode.count,
});
export type KeyAnswer = ReturnType<typeof keyAnswer>;

const refusalReport = decode.object({
  worker: decode.string,
  refusals: decode.array(
    decode.object({
      id,
      reason: decode.literal(...accessReasons),
      place: decode.nullable(place),
      class: decode.literal(...requestClasses),
      /** Of the client that was refused last. */
      address: decode.string,
      count: decode.count,
    }),
  ),
});
/** What was refused since the report before, alike ones together. */
export type RefusalReport = ReturnType<typeof refusalReport>;

export const decodeShareRequest = (text: string) => decode.decodeJson<ShareRequest>(shareRequest, text);
export const decodeShareOutcome = (text: string) => decode.decodeJson<ShareOutcome>(shareOutcome, text);
export const decodeKeyAnswer = (text: string) => decode.decodeJson<KeyAnswer>(keyAnswer, text);
export const decodeRefusalReport = (text: string) => decode.decodeJson<RefusalReport>(refusalReport, text);

/** Whom a credential lets in, and to what: what is left of it once its signature is known to be good. */
export type Grant = {
  readonly kind: "token" | "session" | "share";
  readonly sandboxId: SandboxId | undefined;
  readonly subject: string | undefined;
  readonly port: number | undefined;
  /** Epoch milliseconds, each. */
  readonly expiresAt: number;
  readonly notBefore: number;
  readonly issuedAt: number | undefined;
  readonly jti: string | undefined;
  readonly share: string | undefined;
  /** The key that the integrator signed with, of a session as well. */
  readonly kid: string | undefined;
  readonly fingerprint: string | undefined;
};
