import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { parseSandboxId } from "./sandbox-id.ts";

const form = /^shr_([0-9a-z]{26})_([A-Za-z0-9_-]{43})$/;
const randomLength = 16;

/** A token for the share of this id, a ULID. `sessionKey` is base64url. */
export function mintShareToken(share: string, sessionKey: string): string {
  const random = randomBytes(randomLength);
  return `shr_${share.toLowerCase()}_${Buffer.concat([random, seal(share, random, sessionKey)]).toString("base64url")}`;
}

/** Whether it has the form of a share's token, good or bad. */
export function isShareToken(text: string): boolean {
  return form.test(text);
}

/** The share that a token of ours is for; undefined for one that we never made, which is known without asking anybody. */
export function readShareToken(text: string, sessionKey: string): string | undefined {
  const match = form.exec(text);
  const share = match === null ? undefined : parseSandboxId(match[1]!);
  if (share === undefined) return undefined;
  const bytes = Buffer.from(match![2]!, "base64url");
  const sealed = seal(share, bytes.subarray(0, randomLength), sessionKey);
  return timingSafeEqual(sealed, bytes.subarray(randomLength)) ? share : undefined;
}

function seal(share: string, random: Buffer, sessionKey: string): Buffer {
  const hmac = createHmac("sha256", Buffer.from(sessionKey, "base64url"));
  return hmac.update("share").update(share.toUpperCase()).update(random).digest().subarray(0, 16);
}
