import { readFileSync } from "node:fs";
import { calculateJwkThumbprint, type JWK } from "jose";
import type { AccessKey } from "#contract/access.ts";

/** A JSON Web Key Set that cannot be used. `cause` is kept. */
export class KeySetError extends Error {
  override readonly name = "KeySetError";
}

const largestSet = 1 << 20;
const fetchTimeoutMs = 5_000;
const shortestModulus = 256;

/** The keys of the file that the environment names. Throws KeySetError. */
export async function readKeySetFile(path: string): Promise<readonly AccessKey[]> {
  try {
    return await parseKeySet(readFileSync(path, "utf8"), path);
  } catch (cause) {
    throw new KeySetError(`Cannot use SANDBOXD_PREVIEW_JWKS_FILE: ${(cause as Error).message}`, { cause });
  }
}

/** The keys at a URL; redirections are not followed, and the whole answer has one time limit. Throws KeySetError. */
export async function fetchKeySet(url: string, { timeoutMs = fetchTimeoutMs } = {}): Promise<readonly AccessKey[]> {
  try {
    const answer = await fetch(url, {
      redirect: "error",
      headers: { accept: "application/jwk-set+json, application/json" },
      signal: AbortSignal.timeout(timeoutMs),
    });
    if (!answer.ok) throw new KeySetError(`${url} answered ${answer.status}`);
    return await parseKeySet(await readBounded(answer), url);
  } catch (cause) {
    if (cause instanceof KeySetError) throw cause;
    throw new KeySetError(`${url}: ${(cause as Error).message}`, { cause });
  }
}

async function readBounded(answer: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of answer.body ?? []) {
    length += chunk.length;
    if (length > largestSet) throw new KeySetError("the key set is too large");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** The keys of a set that verify previews' tokens; others, secret ones among them, are passed over (RFC 7517 §5). */
export async function parseKeySet(text: string, from: string): Promise<readonly AccessKey[]> {
  let keys: unknown;
  try {
    keys = (JSON.parse(text) as { keys?: unknown } | null)?.keys;
  } catch (cause) {
    throw new KeySetError(`${from} is not JSON`, { cause });
  }
  if (!Array.isArray(keys)) throw new KeySetError(`${from} is not a JSON Web Key Set`);
  const found = await Promise.all(keys.map(toKey));
  return found.filter((key) => key !== undefined);
}

async function toKey(value: unknown): Promise<AccessKey | undefined> {
  if (typeof value !== "object" || value === null) return undefined;
  const jwk = value as JWK;
  if (jwk.use !== undefined && jwk.use !== "sig") return undefined;
  if (jwk.key_ops !== undefined && !jwk.key_ops.includes("verify")) return undefined;
  const members = publicMembers(jwk);
  if (members === undefined || typeof jwk.kid !== "string" || jwk.kid === "") return undefined;
  const [alg, publicJwk] = members;
  if (jwk.alg !== undefined && jwk.alg !== alg) return undefined;
  return { alg, kid: jwk.kid, jwk: publicJwk, fingerprint: await calculateJwkThumbprint(publicJwk as JWK) };
}

type PublicJwk = Readonly<Record<string, string>>;

/** A key's algorithm follows from its kind, and nothing secret of it is passed on. */
function publicMembers({ kty, crv, x, y, n, e }: JWK): readonly ["EdDSA" | "ES256" | "RS256", PublicJwk] | undefined {
  const isText = (...members: unknown[]) => members.every((member) => typeof member === "string");
  if (kty === "OKP" && crv === "Ed25519" && isText(x)) return ["EdDSA", { kty, crv, x: x! }];
  if (kty === "EC" && crv === "P-256" && isText(x, y)) return ["ES256", { kty, crv, x: x!, y: y! }];
  if (kty !== "RSA" || !isText(n, e)) return undefined;
  return Buffer.from(n!, "base64url").length >= shortestModulus ? ["RS256", { kty, n: n!, e: e! }] : undefined;
}
