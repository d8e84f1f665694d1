import { type Document, isScalar, parseDocument } from "yaml";
import { type Address, type EnvironmentReader, formatAddress } from "#contract/environment.ts";
import { type AuthorityConfig, authorityVariables, readAuthority } from "./acme/acme-config.ts";
import { resolverName } from "./dynamic-files.ts";

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
  /** Traefik's own certificates, by DNS-01 with this provider of its client; null: control has them. */
  readonly resolver: (AuthorityConfig & { readonly provider: string }) | null;
};

/** Every variable that the static file follows. */
export const staticVariables = [
  "HTTP_PORT",
  "HTTPS_PORT",
  "EDGE_INTERNAL_BIND",
  "TRUSTED_PROXIES",
  "PREVIEW_PROXY_PROTOCOL",
  "PREVIEW_HTTP3",
  "SANDBOXD_CERT_SOURCE",
  "SANDBOXD_TRAEFIK_DNS_PROVIDER",
  ...authorityVariables,
] as const;

/** Where Traefik keeps its account and certificates. */
const resolverStorage = "/etc/traefik/acme/acme.json";

/** Reads the settings and ends the reader, which throws EnvironmentError naming every bad variable. */
export function readStaticSettings(read: EnvironmentReader): StaticSettings {
  const settings = {
    httpPort: read.integer("HTTP_PORT", 80, { least: 1, most: 65_535 }),
    httpsPort: read.integer("HTTPS_PORT", 443, { least: 1, most: 65_535 }),
    internal: read.address("EDGE_INTERNAL_BIND", { host: "127.0.0.1", port: 8082 }),
    trustedProxies: read.networks("TRUSTED_PROXIES", []),
    proxyProtocol: read.boolean("PREVIEW_PROXY_PROTOCOL", false),
    http3: read.boolean("PREVIEW_HTTP3", false),
    resolver: readResolver(read),
  };
  if (settings.proxyProtocol && settings.trustedProxies.length === 0) {
    read.conflict("Cannot use PREVIEW_PROXY_PROTOCOL: TRUSTED_PROXIES must name the proxies that speak it");
  }
  read.end();
  return settings;
}

function readResolver(read: EnvironmentReader): StaticSettings["resolver"] {
  if (read.raw("SANDBOXD_CERT_SOURCE") !== "traefik") return null;
  return { ...readAuthority(read), provider: read.text("SANDBOXD_TRAEFIK_DNS_PROVIDER", "manual") };
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
  if (settings.resolver !== null) {
    file.setIn(["certificatesResolvers", resolverName], file.createNode({ acme: toAcme(settings.resolver) }));
  }
  return file.toString({ lineWidth: 0 });
}

function toAcme({ directoryUrl, email, externalAccount, resolvers, provider }: StaticSettings["resolver"] & object) {
  return {
    caServer: directoryUrl,
    ...(email !== null && { email }),
    ...(externalAccount !== null && { eab: { kid: externalAccount.kid, hmacEncoded: externalAccount.hmacKey } }),
    storage: resolverStorage,
    keyType: "EC256",
    dnsChallenge: { provider, ...(resolvers.length > 0 && { resolvers: [...resolvers] }) },
  };
}

/** In place, so that the quotes stay. */
function setText(file: Document, path: readonly string[], text: string): void {
  const node = file.getIn(path, true);
  if (!isScalar(node)) throw new Error(`The static file has no ${path.join(".")}`);
  node.value = text;
}
