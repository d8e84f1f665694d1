import { createHmac } from "node:crypto";

/** The key of whoever may let others into private previews: the gateway's, and that of what it is compared with. */
export const tokenKey = { kid: "bench", secret: "that-this-benchmark-signs-its-tokens-with-and-nothing-else" } as const;

/** A token that opens a sandbox for an hour. */
export function mintToken(sandboxId: string): string {
  const claims = {
    aud: "sandbox-preview",
    sandbox_id: sandboxId,
    sub: "bench",
    exp: Math.floor(Date.now() / 1000) + 3600,
  };
  const signed = `${encode({ alg: "HS256", typ: "JWT", kid: tokenKey.kid })}.${encode(claims)}`;
  return `${signed}.${createHmac("sha256", tokenKey.secret).update(signed).digest("base64url")}`;
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}
