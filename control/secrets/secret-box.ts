import { createCipheriv, createDecipheriv, createHash, createHmac, randomBytes } from "node:crypto";
import type { SandboxId } from "#contract/sandbox-id.ts";

/** A value that is sealed under none of the keys at hand, or was changed since. */
export class SecretError extends Error {
  override readonly name = "SecretError";
}

/** In bytes, as AES-256 wants it. */
export const keyLength = 32;
const cipherName = "aes-256-gcm";
const nonceLength = 12;
const tagLength = 16;
const form = /^v1\.([0-9a-f]{8})\.([A-Za-z0-9_-]+)$/;

/**
 * Seals values for keeping: what is stored is of no use without the key, and in no place but its own, the variable of the
 * sandbox that it was sealed for. The first key seals, each of them opens.
 */
export class SecretBox {
  readonly #keys: ReadonlyMap<string, Buffer>;
  readonly #first: string;

  constructor(keys: readonly [Buffer, ...Buffer[]]) {
    this.#keys = new Map(keys.map((key) => [nameOf(key), key]));
    this.#first = nameOf(keys[0]);
  }

  seal(id: SandboxId, variable: string, value: string): string {
    const nonce = randomBytes(nonceLength);
    const cipher = createCipheriv(cipherName, this.#keys.get(this.#first)!, nonce).setAAD(placeOf(id, variable));
    const sealed = Buffer.concat([cipher.update(value, "utf8"), cipher.final()]);
    return `v1.${this.#first}.${Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString("base64url")}`;
  }

  /** Throws SecretError. */
  open(id: SandboxId, variable: string, sealed: string): string {
    const [, name = "", text = ""] = form.exec(sealed) ?? [];
    const key = this.#keys.get(name);
    if (key === undefined) throw new SecretError(`The key of the secret ${variable} is not there`);
    const bytes = Buffer.from(text, "base64url");
    const [nonce, tag] = [bytes.subarray(0, nonceLength), bytes.subarray(nonceLength, nonceLength + tagLength)];
    try {
      const decipher = createDecipheriv(cipherName, key, nonce, { authTagLength: tagLength });
      decipher.setAAD(placeOf(id, variable)).setAuthTag(tag);
      return decipher.update(bytes.subarray(nonceLength + tagLength), undefined, "utf8") + decipher.final("utf8");
    } catch (cause) {
      throw new SecretError(`The secret ${variable} was changed since it was sealed`, { cause });
    }
  }

  /** The same for the same value, and of no use for guessing it without the key. */
  fingerprint(value: string): string {
    return createHmac("sha256", this.#keys.get(this.#first)!).update(value).digest("base64url");
  }
}

function nameOf(key: Buffer): string {
  return createHash("sha256").update("sandboxd secret key").update(key).digest("hex").slice(0, 8);
}

function placeOf(id: SandboxId, variable: string): Buffer {
  return Buffer.from(`${id} ${variable}`);
}
