import { type Document, isScalar, parseDocument } from "yaml";
import { type Address, type EnvironmentReader, formatAddress } from "#contract/environment.ts";

/** What Traefik's static file follows: the few settings that no dynamic file can hold. */
export type StaticSettings = {
  /** The ports of `web` and `websecure`, on every address. They are the ones that browsers dial. */
  readonly httpPort: number;
  readonly httpsPort: number;
  /** Where ping and metrics are. */
  readonly internal: Address;
  /** Addresses and CIDR blocks of the proxies in front of Traefik; only they may say who the client is. */
  readonly trustedProxies: readonly string[];
  /** Whether those proxies speak the PROXY protocol. */
  readonly proxyProtocol: boolean;
  readonly http3: boolean;
};

/** Every variable that the static file follows. */
export const staticVariables = [
  "HTTP_PORT",
  "HTTPS_PORT",
  "EDGE_INTERNAL_BIND",
  "TRUSTED_PROXIES",
  "PREVIEW_PROXY_PROTOCOL",
  "PREVIEW_HTTP3",
] as const;

/** Reads the settings and ends the reader, which throws EnvironmentError naming every bad variable. */
export function readStaticSettings(read: EnvironmentReader): StaticSettings {
  const settings = {
    httpPort: read.integer("HTTP_PORT", 80, { least: 1, most: 65_535 }),
    httpsPort: read.integer("HTTPS_PORT", 443, { least: 1, most: 65_535 }),
    internal: read.address("EDGE_INTERNAL_BIND", { host: "127.0.0.1", port: 8082 }),
    trustedProxies: read.networks("TRUSTED_PROXIES", []),
    proxyProtocol: read.boolean("PREVIEW_PROXY_PROTOCOL", false),
    http3: read.boolean("PREVIEW_HTTP3", false),
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
  const addresses = { web: `:${settings.httpPort}`, websecure: `:${settings.httpsPort}` };
  for (const [name, address] of Object.entries({ ...addresses, internal: formatAddress(settings.internal) })) {
    setText(file, ["entryPoints", name, "address"], address);
  }
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

/** In place, so that the quotes stay. */
function setText(file: Document, path: readonly string[], text: string): void {
  const node = file.getIn(path, true);
  if (!isScalar(node)) throw new Error(`The static file has no ${path.join(".")}`);
  node.value = text;
}
