import { parseDocument } from "yaml";
import type { EnvironmentReader } from "#contract/environment.ts";

/** What Traefik's static file follows: the few settings that no dynamic file can hold. */
export type StaticSettings = {
  /** Addresses and CIDR blocks of the proxies in front of Traefik; only they may say who the client is. */
  readonly trustedProxies: readonly string[];
  /** Whether those proxies speak the PROXY protocol. */
  readonly proxyProtocol: boolean;
  readonly http3: boolean;
  /** The port that browsers dial for HTTPS. */
  readonly httpsPort: number;
};

/** Reads `TRUSTED_PROXIES`, `PREVIEW_PROXY_PROTOCOL`, `PREVIEW_HTTP3` and `HTTPS_PORT`. Ends the reader, which throws what is bad. */
export function readStaticSettings(read: EnvironmentReader): StaticSettings {
  const settings = {
    trustedProxies: read.networks("TRUSTED_PROXIES", []),
    proxyProtocol: read.boolean("PREVIEW_PROXY_PROTOCOL", false),
    http3: read.boolean("PREVIEW_HTTP3", false),
    httpsPort: read.integer("HTTPS_PORT", 443, { least: 1, most: 65_535 }),
  };
  if (settings.proxyProtocol && settings.trustedProxies.length === 0) {
    read.conflict("Cannot use PREVIEW_PROXY_PROTOCOL: TRUSTED_PROXIES must name the proxies that speak it");
  }
  read.end();
  return settings;
}

/** The static file with the settings in it; all else, comments included, stays as it is. */
export function renderStatic(template: string, settings: StaticSettings): string {
  const file = parseDocument(template);
  const trustedIPs = [...settings.trustedProxies];
  for (const entryPoint of trustedIPs.length > 0 ? ["web", "websecure"] : []) {
    file.setIn(["entryPoints", entryPoint, "forwardedHeaders"], file.createNode({ trustedIPs }));
    if (!settings.proxyProtocol) continue;
    file.setIn(["entryPoints", entryPoint, "proxyProtocol"], file.createNode({ trustedIPs }));
  }
  if (settings.http3) {
    file.setIn(["entryPoints", "websecure", "http3"], file.createNode({ advertisedPort: settings.httpsPort }));
  }
  return file.toString({ lineWidth: 0 });
}
