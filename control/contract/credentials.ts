import type { CredentialPlace } from "./access.ts";
import { isPreviewToken, longestToken } from "./preview-token.ts";
import { readSessionCookies } from "./session-cookie.ts";
import { isShareToken } from "./share-token.ts";
import { mayHaveQueryToken, readQueryTokens } from "./token-query.ts";

/** Something that may let a request into a private preview. */
export type Credential = { readonly place: CredentialPlace; readonly token: string };

export type CredentialSources = {
  readonly cookie: string | undefined;
  /** The values of X-Preview-Token, separated by commas. */
  readonly previewToken: string | undefined;
  readonly authorization: string | undefined;
  /** The request's target, whose query may have one. */
  readonly target: string;
};

/** A request's credentials in the order in which they are tried. */
export function readCredentials(sources: CredentialSources, secure: boolean): readonly Credential[] {
  const { cookie, previewToken, authorization, target } = sources;
  const found: Credential[] = [];
  for (const token of readSessionCookies(cookie, secure)) found.push({ place: "cookie", token });
  if (previewToken !== undefined) {
    for (const token of previewToken.split(",", 4)) found.push({ place: "header", token: token.trim() });
  }
  const bearer = readBearer(authorization);
  if (bearer !== undefined) found.push({ place: "bearer", token: bearer });
  if (mayHaveQueryToken(target)) for (const token of readQueryTokens(target)) found.push({ place: "query", token });
  return found;
}

/** The token of an Authorization that is meant for previews; any other is the app's own affair (RFC 6750 §2.1). */
export function readBearer(authorization: string | undefined): string | undefined {
  if (authorization === undefined || !/^bearer +(?:ey|shr_)/i.test(authorization)) return undefined;
  const known = bearers.get(authorization);
  if (known !== undefined) return known === "" ? undefined : known;
  const token = /^bearer +(\S+) *$/i.exec(authorization)?.[1];
  const isOurs = token !== undefined && (isShareToken(token) || isPreviewToken(token));
  if (bearers.size >= keptBearers) bearers.clear();
  if (authorization.length <= longestToken) bearers.set(authorization, isOurs ? token : "");
  return isOurs ? token : undefined;
}

/** Few are sent again and again: which of them are ours is read once. Empty: the app's. */
const bearers = new Map<string, string>();
const keptBearers = 500;
