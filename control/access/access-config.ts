import { type DenyMode, denyModes } from "#contract/access.ts";
import { type EnvironmentReader, isLoopback } from "#contract/environment.ts";

/** What decides about private previews, as the operator wrote it. All of it is read anew on SIGHUP. */
export type AccessConfig = {
  readonly tokenSecrets: readonly TokenSecret[];
  readonly jwksUrl: string | null;
  readonly jwksFile: string | null;
  /** `{sandbox_id}` and `{return}` are replaced. */
  readonly redirectUrl: string | null;
  readonly denyMode: DenyMode;
};

/** An integrator's key for HS256. */
export type TokenSecret = { readonly kid: string; readonly secret: string };

export const accessVariables = [
  "SANDBOXD_PREVIEW_TOKEN_SECRETS",
  "SANDBOXD_PREVIEW_JWKS_URL",
  "SANDBOXD_PREVIEW_JWKS_FILE",
  "SANDBOXD_AUTH_REDIRECT_URL",
  "SANDBOXD_FORWARD_AUTH_DENY_MODE",
] as const;

export function readAccess(read: EnvironmentReader): AccessConfig {
  return {
    tokenSecrets: readSecrets(read, "SANDBOXD_PREVIEW_TOKEN_SECRETS"),
    jwksUrl: readJwksUrl(read, "SANDBOXD_PREVIEW_JWKS_URL"),
    jwksFile: read.raw("SANDBOXD_PREVIEW_JWKS_FILE") ?? null,
    redirectUrl: readRedirect(read, "SANDBOXD_AUTH_REDIRECT_URL"),
    denyMode: read.choice("SANDBOXD_FORWARD_AUTH_DENY_MODE", "redirect", denyModes),
  };
}

/** `kid=secret`, separated by commas. A refusal names the entry by its place: what is there may be a secret. */
function readSecrets(read: EnvironmentReader, name: string): readonly TokenSecret[] {
  const secrets: TokenSecret[] = [];
  for (const [index, entry] of (read.raw(name)?.split(",") ?? []).entries()) {
    const match = /^\s*([A-Za-z0-9._-]+)\s*[=:]\s*([\x21-\x7e]+)\s*$/.exec(entry);
    if (match === null) read.conflict(`Cannot parse ${name}: expected kid=secret in entry ${index + 1}`);
    else if (secrets.some(({ kid }) => kid === match[1]))
      read.conflict(`Cannot parse ${name}: two entries name ${match[1]}`);
    else secrets.push({ kid: match[1]!, secret: match[2]! });
  }
  return secrets;
}

/** Keys decide who gets in: over a network they come by TLS alone. */
function readJwksUrl(read: EnvironmentReader, name: string): string | null {
  const value = read.raw(name);
  if (value === undefined) return null;
  const url = URL.parse(value);
  const isSafe = url !== null && (url.protocol === "https:" || (url.protocol === "http:" && isLoopback(url.hostname)));
  if (isSafe || (url?.protocol === "http:" && url.hostname === "[::1]")) return url.href;
  read.problem(name, "an https: URL, or an http: one on loopback", value);
  return null;
}

function readRedirect(read: EnvironmentReader, name: string): string | null {
  const value = read.raw(name);
  if (value === undefined) return null;
  const url = URL.parse(value.replaceAll(/\{(?:sandbox_id|return)\}/g, "x"));
  const isUsable =
    url !== null && (url.protocol === "https:" || url.protocol === "http:") && /^[\x21-\x7e]+$/.test(value);
  if (isUsable) return value;
  read.problem(name, "an http: or https: URL with {sandbox_id} and {return} in it", value);
  return null;
}
