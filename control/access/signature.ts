import { compactVerify, importJWK } from "jose";
import type { AccessKey } from "#contract/access.ts";

type Imported = Awaited<ReturnType<typeof importJWK>>;

const imported = new WeakMap<AccessKey, Promise<Imported>>();

/** Whether a compact JWS was signed with this key, by the key's own algorithm and no other. Never rejects. */
export async function checkSignature(token: string, key: AccessKey): Promise<boolean> {
  try {
    await compactVerify(token, await importKey(key), { algorithms: [key.alg] });
    return true;
  } catch {
    return false;
  }
}

function importKey(key: AccessKey): Promise<Imported> {
  let known = imported.get(key);
  if (known === undefined) {
    known = key.alg === "HS256" ? Promise.resolve(Buffer.from(key.secret, "base64url")) : importJWK(key.jwk, key.alg);
    imported.set(key, known);
  }
  return known;
}
