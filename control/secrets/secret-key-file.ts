import { randomBytes } from "node:crypto";
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, statSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { keyLength, SecretBox } from "./secret-box.ts";

/** A key file that cannot be used: control does not start with it. */
export class SecretKeyError extends Error {
  override readonly name = "SecretKeyError";
}

const modeOfOthers = 0o077;

/**
 * The box of the keys in a file, one a line in base64url. Without a file one with a new key is made, that only its owner
 * reads. Throws SecretKeyError for one that others may read or that holds anything but keys.
 */
export function openSecretBox(path: string): SecretBox {
  makeOnce(path);
  const text = read(path);
  const keys = text.split("\n").filter((line) => line.trim() !== "");
  const [first, ...others] = keys.map((line) => Buffer.from(line.trim(), "base64url"));
  if (first === undefined || [first, ...others].some(({ length }) => length !== keyLength))
    throw new SecretKeyError(`SANDBOXD_SECRET_KEY_FILE: ${path} must hold keys of ${keyLength} bytes in base64url`);
  return new SecretBox([first, ...others]);
}

function makeOnce(path: string): void {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const file = openSync(path, "wx", 0o600);
    writeSync(file, `${randomBytes(keyLength).toString("base64url")}\n`);
    fsyncSync(file);
    closeSync(file);
    const directory = openSync(dirname(path), "r");
    fsyncSync(directory);
    closeSync(directory);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "EEXIST") return;
    throw new SecretKeyError(`SANDBOXD_SECRET_KEY_FILE: ${(cause as Error).message}`, { cause });
  }
}

function read(path: string): string {
  try {
    if ((statSync(path).mode & modeOfOthers) !== 0)
      throw new SecretKeyError(`SANDBOXD_SECRET_KEY_FILE: ${path} must be its owner's alone (chmod 600)`);
    return readFileSync(path, "utf8");
  } catch (cause) {
    if (cause instanceof SecretKeyError) throw cause;
    throw new SecretKeyError(`SANDBOXD_SECRET_KEY_FILE: ${(cause as Error).message}`, { cause });
  }
}
