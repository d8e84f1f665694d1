import { createHmac, generateKeyPairSync, sign } from "node:crypto";
import type { AccessKey } from "#contract/access.ts";
import type { SandboxId } from "#contract/sandbox-id.ts";

export const secret = "a secret of the integrator's, long enough";
export const hmacKey: AccessKey = {
  alg: "HS256",
  kid: "main",
  fingerprint: "print-of-main",
  secret: Buffer.from(secret).toString("base64url"),
};

const pairs = {
  EdDSA: generateKeyPairSync("ed25519"),
  ES256: generateKeyPairSync("ec", { namedCurve: "P-256" }),
  RS256: generateKeyPairSync("rsa", { modulusLength: 2048 }),
};
export type PublicAlgorithm = keyof typeof pairs;

/** The public key of this algorithm, as control tells it. */
export function publicKey(alg: PublicAlgorithm): AccessKey {
  const jwk = pairs[alg].publicKey.export({ format: "jwk" }) as Record<string, string>;
  return { alg, kid: `${alg}-key`, fingerprint: `print-of-${alg}`, jwk };
}

export const nowSeconds = () => Math.floor(Date.now() / 1000);

/** The claims of a token that opens this sandbox for an hour. */
export function claimsFor(id: SandboxId, more: object = {}): object {
  return {
    aud: "sandbox-preview",
    sandbox_id: id,
    sub: "ada",
    exp: nowSeconds() + 3600,
    iat: nowSeconds() - 10,
    ...more,
  };
}

export const encode = (value: object | string) =>
  Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");

/** A token signed with the secret above; `claims` may be JSON text. */
export function token(claims: object | string, header: object = {}, key: string | Buffer = secret): string {
  const signed = `${encode({ alg: "HS256", kid: "main", ...header })}.${encode(claims)}`;
  return `${signed}.${createHmac("sha256", key).update(signed).digest("base64url")}`;
}

/** A token signed with the private key of this algorithm. */
export function tokenBy(alg: PublicAlgorithm, claims: object, header: object = {}): string {
  const signed = `${encode({ alg, kid: `${alg}-key`, ...header })}.${encode(claims)}`;
  const options = { key: pairs[alg].privateKey, dsaEncoding: "ieee-p1363" as const };
  return `${signed}.${sign(alg === "EdDSA" ? null : "sha256", Buffer.from(signed), options).toString("base64url")}`;
}

/** The public key as the text that a confused verifier takes for a secret. */
export function publicPem(alg: PublicAlgorithm): string {
  return pairs[alg].publicKey.export({ format: "pem", type: "spki" }) as string;
}
