import { parseSandboxId, type SandboxId } from "./sandbox-id.ts";

/** Where previews live: the one place that knows how a host of ours is spelt. */
export type PreviewOrigin = {
  readonly domain: string;
  readonly scheme: "http" | "https";
  /** The port a browser dials. It is left out of URLs when it is the scheme's default. */
  readonly publicPort: number;
};

export type ParsedHost =
  | { readonly kind: "preview"; readonly id: SandboxId; readonly port: number }
  | { readonly kind: "api" }
  /** Below `.preview.<domain>`, but neither a preview nor the API. */
  | { readonly kind: "unknown" }
  | { readonly kind: "outside" }
  | { readonly kind: "malformed" };

const malformed: ParsedHost = { kind: "malformed" };
const outside: ParsedHost = { kind: "outside" };
const unknown: ParsedHost = { kind: "unknown" };
const api: ParsedHost = { kind: "api" };

const label = "[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?";
const hostAndPort = new RegExp(`^(${label}(?:\\.${label})*|\\[[0-9a-f:.]+\\])(?::([0-9]{1,5}))?$`);
const previewLabel = /^s-([0-9a-z]{26})-([1-9][0-9]{0,4})$/;
const highestPort = 65_535;

/**
 * Reads a `Host` header (RFC 9110 §7.2), whatever its case, with or without a port.
 * A trailing dot, an empty value and anything that is not a host and port are malformed.
 */
export function parseHost(header: string | undefined, domain: string): ParsedHost {
  if (header === undefined || header.length > 300) return malformed;
  const match = hostAndPort.exec(header.toLowerCase());
  if (match === null || Number(match[2] ?? 0) > highestPort) return malformed;
  const suffix = `.preview.${domain}`;
  const name = match[1]!;
  if (!name.endsWith(suffix)) return outside;
  const first = name.slice(0, -suffix.length);
  if (first === "api") return api;
  const preview = previewLabel.exec(first);
  if (preview === null) return unknown;
  const id = parseSandboxId(preview[1]!);
  const port = Number(preview[2]);
  return id === undefined || port > highestPort ? unknown : { kind: "preview", id, port };
}

/** `s-<ulid>-<port>.preview.<domain>`, in lower case as browsers write it. */
export function formatPreviewHost(id: SandboxId, port: number, domain: string): string {
  return `s-${id.toLowerCase()}-${port}.preview.${domain}`;
}

export function formatApiHost(domain: string): string {
  return `api.preview.${domain}`;
}

/** The URL of one port of a sandbox, with a trailing slash. */
export function previewUrl(origin: PreviewOrigin, id: SandboxId, port: number): string {
  return `${withPort(origin, formatPreviewHost(id, port, origin.domain))}/`;
}

/** The API's origin as callers outside see it, without a trailing slash. */
export function apiUrl(origin: PreviewOrigin): string {
  return withPort(origin, formatApiHost(origin.domain));
}

function withPort({ scheme, publicPort }: PreviewOrigin, host: string): string {
  const isDefault = publicPort === (scheme === "https" ? 443 : 80);
  return `${scheme}://${host}${isDefault ? "" : `:${publicPort}`}`;
}
