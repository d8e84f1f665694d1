import type { EnvironmentReader } from "./environment.ts";

/** Both processes read all of them, whichever they use, so that neither starts beside one that could not. */
export const previewVariables = [
  "PREVIEW_DOMAIN",
  "PREVIEW_ENTRYPOINT",
  "PREVIEW_TLS",
  "PREVIEW_SCHEME",
  "PREVIEW_PROXY_PROTOCOL",
  "PREVIEW_HTTP3",
] as const;

export type PreviewVariables = {
  readonly domain: string;
  readonly entryPoint: "web" | "websecure";
  readonly tls: boolean;
  /** Of preview URLs; it follows `tls` unless a TLS tunnel is in front. */
  readonly scheme: "http" | "https";
  /** Whether the proxies in front of Traefik speak the PROXY protocol. */
  readonly proxyProtocol: boolean;
  readonly http3: boolean;
};

/** What the environment says about previews as a whole. */
export function readPreview(read: EnvironmentReader): PreviewVariables {
  const tls = read.boolean("PREVIEW_TLS", false);
  return {
    domain: read.domain("PREVIEW_DOMAIN", "localhost"),
    entryPoint: read.choice("PREVIEW_ENTRYPOINT", "web", ["web", "websecure"]),
    tls,
    scheme: read.choice("PREVIEW_SCHEME", tls ? "https" : "http", ["http", "https"]),
    proxyProtocol: read.boolean("PREVIEW_PROXY_PROTOCOL", false),
    http3: read.boolean("PREVIEW_HTTP3", false),
  };
}
