import { parseHost } from "./preview-host.ts";
import type { SandboxId } from "./sandbox-id.ts";

/** What a browser says of the page that makes it send a request; a program says nothing of it. */
export type AskingPage = {
  readonly method: string;
  /** The preview's own, as it was addressed. */
  readonly host: string;
  readonly origin: string | undefined;
  readonly referer: string | undefined;
  /** `Sec-Fetch-Site` and `Sec-Fetch-Mode`. */
  readonly site: string | undefined;
  readonly mode: string | undefined;
};

export type AskedPreview = {
  readonly id: SandboxId;
  readonly domain: string;
  /** Origins that its owner lists. */
  readonly origins: readonly string[];
};

/**
 * Whether a page asks for a private preview that is not one of its sandbox's own, nor of an origin that its owner lists.
 * A browser sends a session along whoever asks, and siblings are pages of the same site; what it says here no page can
 * forge (RFC 6454 §7, Fetch Metadata §2). To follow a link is not to ask: its visitor sees the preview and nobody else.
 */
export function isForeignPage(asking: AskingPage, preview: AskedPreview): boolean {
  const { method, origin, referer, site, mode } = asking;
  if (origin === undefined && (site === undefined || site === "same-origin" || site === "none")) return false;
  if (mode === "navigate" && (method === "GET" || method === "HEAD")) return false;
  // A page may keep its browser from naming it, but never have it name another one.
  const named = origin ?? /^https?:\/\/[^/?#]*/i.exec(referer ?? "")?.[0];
  return named === undefined || !isKnown(named.toLowerCase(), asking.host.toLowerCase(), preview);
}

/** Whether the page that asks is of the very host that it asks for, or cannot be told to be another one's. */
export function comesFromOwnHost({ host, origin, site }: Pick<AskingPage, "host" | "origin" | "site">): boolean {
  if (site !== undefined) return site === "same-origin";
  // Our own pages tell nobody where they are: a browser writes `null` for them (Fetch §3.2).
  return origin === undefined || origin === "null" || hostOf(origin.toLowerCase()) === host.toLowerCase();
}

function hostOf(origin: string): string | undefined {
  return /^https?:\/\/(.+)$/.exec(origin)?.[1];
}

function isKnown(origin: string, ownHost: string, { id, domain, origins }: AskedPreview): boolean {
  if (origins.includes(origin)) return true;
  const host = hostOf(origin);
  if (host === ownHost) return true;
  const parsed = parseHost(host, domain);
  return parsed.kind === "preview" && parsed.id === id;
}
