import type { EnvironmentReader } from "#contract/environment.ts";

/** What a token is good for, each with all before it: reading, sandboxes, and everything. */
export const scopes = ["read", "sandboxes", "admin"] as const;
export type Scope = (typeof scopes)[number];

/** A bearer of the API at the edge. The name goes into the record, the secret nowhere. */
export type ApiToken = { readonly name: string; readonly secret: string; readonly scope: Scope };

const entryForm = /^\s*([A-Za-z0-9._-]+)\s*[:=]\s*([\x21-\x7e]+?)(?::(read|sandboxes|admin))?\s*$/;

/**
 * `name:secret` or `name=secret`, separated by commas; `:read`, `:sandboxes` or `:admin` behind it says what the token is
 * good for. A refusal names the entry by its place: what is there may be a secret.
 */
export function readApiTokens(read: EnvironmentReader, name: string): readonly ApiToken[] {
  const tokens: ApiToken[] = [];
  for (const [index, entry] of (read.raw(name)?.split(",") ?? []).entries()) {
    const [, tokenName, secret, scope = "admin"] = entryForm.exec(entry) ?? [];
    if (tokenName === undefined || secret === undefined)
      read.conflict(`Cannot parse ${name}: expected name:secret in entry ${index + 1}`);
    else if (tokens.some((token) => token.name === tokenName))
      read.conflict(`Cannot parse ${name}: two entries name ${tokenName}`);
    else tokens.push({ name: tokenName, secret, scope: scope as Scope });
  }
  return tokens;
}

const forAdmins =
  /^\/(?:v1\/)?(?:audit|certificate|egress|engine|revocations|external-users|external-projects|backups)(?:\/|$)/;
/** Reading by method, and yet a way to do something. */
const forDoers = /\/terminal$/;

/** What a call of this method on this route takes. */
export function scopeOf(method: string, route: string): Scope {
  if (forAdmins.test(route)) return "admin";
  return (method === "GET" || method === "HEAD") && !forDoers.test(route) ? "read" : "sandboxes";
}

export function includes(has: Scope, needed: Scope): boolean {
  return scopes.indexOf(has) >= scopes.indexOf(needed);
}
