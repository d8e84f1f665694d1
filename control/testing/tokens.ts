import { createHmac, generateKeyPairSync, type KeyObject, sign } from "node:crypto";

export type Pair = {
  readonly kid: string;
  readonly privateKey: KeyObject;
  readonly jwk: Readonly<Record<string, unknown>>;
};

/** A key pair for ES256, with its public half as a member of a key set. */
export function newPair(kid: string): Pair {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return { kid, privateKey, jwk: { ...publicKey.export({ format: "jwk" }), kid, use: "sig", alg: "ES256" } };
}

export const nowSeconds = () => Math.floor(Date.now() / 1000);

export function claimsFor(id: string, more: object = {}): object {
  return { aud: "sandbox-preview", sandbox_id: id, sub: "ada", exp: nowSeconds() + 3600, iat: nowSeconds(), ...more };
}

const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");

export function hmacToken(kid: string, secret: string, claims: object): string {
  const signed = `${encode({ alg: "HS256", kid })}.${encode(claims)}`;
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}

export function pairToken({ kid, privateKey }: Pair, claims: object): string {
  const signed = `${encode({ alg: "ES256", kid })}.${encode(claims)}`;
  const signature = sign("sha256", Buffer.from(signed), { key: privateKey, dsaEncoding: "ieee-p1363" });
  return `${signed}.${signature.toString("base64url")}`;
}
