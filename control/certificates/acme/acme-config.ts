import { type Address, type EnvironmentReader, formatAddress, type Variables } from "#contract/environment.ts";
import { readTsigKey, type TsigKey, tsigKeyForm } from "./tsig.ts";

/** How certificates are asked for, as the operator wrote it. */
export type AcmeConfig = {
  readonly directoryUrl: string;
  /** Where the CA warns; null: nowhere. */
  readonly email: string | null;
  readonly externalAccount: ExternalAccount | null;
  /** Of those that the CA's directory names; null: the CA's own choice. */
  readonly profile: string | null;
  readonly dns: DnsConfig;
  /** `host:port` of the name servers to ask; none: the machine's own. */
  readonly resolvers: readonly string[];
  /** How long a record may take to reach every authoritative server. */
  readonly dnsWaitSeconds: number;
};

/** RFC 8555 §7.3.4. */
export type ExternalAccount = { readonly kid: string; readonly hmacKey: string };

export type DnsConfig =
  | { readonly method: "exec"; readonly program: string; readonly environment: Variables }
  | { readonly method: "rfc2136"; readonly server: Address; readonly key: TsigKey }
  | { readonly method: "acme-dns"; readonly url: string; readonly account: AcmeDnsAccount | null };

/** What acme-dns answers to a registration. */
export type AcmeDnsAccount = {
  readonly username: string;
  readonly password: string;
  readonly subdomain: string;
  readonly fulldomain: string;
};

/** Those that Traefik's own client follows too. */
export const authorityVariables = [
  "SANDBOXD_ACME_DIRECTORY_URL",
  "SANDBOXD_ACME_EMAIL",
  "SANDBOXD_ACME_EAB_KID",
  "SANDBOXD_ACME_EAB_KEY",
  "SANDBOXD_ACME_DNS_RESOLVERS",
] as const;
export const acmeVariables = [
  ...authorityVariables,
  "SANDBOXD_ACME_PROFILE",
  "SANDBOXD_ACME_DNS",
  "SANDBOXD_ACME_DNS_WAIT_SECONDS",
  "SANDBOXD_ACME_EXEC",
  "SANDBOXD_ACME_RFC2136_SERVER",
  "SANDBOXD_ACME_RFC2136_KEY",
  "SANDBOXD_ACME_ACMEDNS_URL",
  "SANDBOXD_ACME_ACMEDNS_ACCOUNT",
] as const;

const methods = ["exec", "rfc2136", "acme-dns"] as const;
const letsEncrypt = "https://acme-v02.api.letsencrypt.org/directory";

/** What both who ask a CA themselves and who have Traefik do it need to know. */
export type AuthorityConfig = Pick<AcmeConfig, "directoryUrl" | "email" | "externalAccount" | "resolvers">;

export function readAuthority(read: EnvironmentReader): AuthorityConfig {
  return {
    directoryUrl: readHttps(read, "SANDBOXD_ACME_DIRECTORY_URL") ?? letsEncrypt,
    email: readEmail(read, "SANDBOXD_ACME_EMAIL"),
    externalAccount: readExternalAccount(read),
    resolvers: readResolvers(read, "SANDBOXD_ACME_DNS_RESOLVERS"),
  };
}

/** Null when no way to answer challenges is named. `environment` is what a hook gets. */
export function readAcme(read: EnvironmentReader, environment: Variables): AcmeConfig | null {
  const authority = readAuthority(read);
  const profile = read.raw("SANDBOXD_ACME_PROFILE") ?? null;
  const dnsWaitSeconds = read.integer("SANDBOXD_ACME_DNS_WAIT_SECONDS", 300, { least: 1, most: 7200 });
  const dns = readDns(read, environment);
  return dns === null ? null : { ...authority, profile, dnsWaitSeconds, dns };
}

function readDns(read: EnvironmentReader, environment: Variables): DnsConfig | null {
  const program = read.raw("SANDBOXD_ACME_EXEC");
  const server = readServer(read, "SANDBOXD_ACME_RFC2136_SERVER");
  const key = readKey(read, "SANDBOXD_ACME_RFC2136_KEY");
  const url = readHttps(read, "SANDBOXD_ACME_ACMEDNS_URL");
  const account = readAcmeDnsAccount(read, "SANDBOXD_ACME_ACMEDNS_ACCOUNT");
  const written = read.raw("SANDBOXD_ACME_DNS");
  if (written === undefined) return null;
  const method = read.choice("SANDBOXD_ACME_DNS", "exec", methods);
  switch (method) {
    case "exec":
      if (program !== undefined) return { method, program, environment };
      break;
    case "rfc2136":
      if (server !== null && key !== null) return { method, server, key };
      break;
    case "acme-dns":
      if (url !== null) return { method, url, account };
      break;
    default: {
      const never: never = method;
      throw new Error(`Unknown method ${JSON.stringify(never)}`);
    }
  }
  read.conflict(`Cannot use SANDBOXD_ACME_DNS=${method}: ${needed[method]}`);
  return null;
}

const needed = {
  exec: "SANDBOXD_ACME_EXEC must name the program that sets the record",
  rfc2136: "SANDBOXD_ACME_RFC2136_SERVER and SANDBOXD_ACME_RFC2136_KEY must name the server and its key",
  "acme-dns": "SANDBOXD_ACME_ACMEDNS_URL must name the server",
} as const;

function readExternalAccount(read: EnvironmentReader): ExternalAccount | null {
  const kid = read.raw("SANDBOXD_ACME_EAB_KID");
  const hmacKey = read.raw("SANDBOXD_ACME_EAB_KEY");
  if (kid === undefined && hmacKey === undefined) return null;
  if (kid === undefined || hmacKey === undefined) {
    read.conflict("Cannot use one of SANDBOXD_ACME_EAB_KID and SANDBOXD_ACME_EAB_KEY without the other");
    return null;
  }
  // A secret: a refusal does not repeat it.
  if (/^[A-Za-z0-9_+/-]+=*$/.test(hmacKey)) return { kid, hmacKey };
  read.conflict("Cannot parse SANDBOXD_ACME_EAB_KEY: expected base64");
  return null;
}

/** With the account's key and the name server's answers on it: over a network by TLS alone. */
function readHttps(read: EnvironmentReader, name: string): string | null {
  const value = read.raw(name);
  if (value === undefined) return null;
  const url = URL.parse(value);
  const onLoopback = url?.protocol === "http:" && /^(?:localhost|127\.[\d.]+|\[::1\])$/.test(url.hostname);
  if (url?.protocol === "https:" || onLoopback) return value;
  read.problem(name, "an https: URL, or an http: one on loopback", value);
  return null;
}

function readEmail(read: EnvironmentReader, name: string): string | null {
  const value = read.raw(name);
  if (value === undefined) return null;
  if (/^[^\s@,?]+@[^\s@,?]+$/.test(value)) return value;
  read.problem(name, "an e-mail address", value);
  return null;
}

const serverForm = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:[\]/,]+))(?::([1-9][0-9]{0,4}))?$/;

/** With port 53 unless another one is named. */
function parseServer(text: string): Address | undefined {
  const match = serverForm.exec(text.trim());
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3] ?? 53);
  return host === undefined || port > 65_535 ? undefined : { host, port };
}

function readServer(read: EnvironmentReader, name: string): Address | null {
  const value = read.raw(name);
  if (value === undefined) return null;
  const server = parseServer(value);
  if (server === undefined) read.problem(name, "host or host:port", value);
  return server ?? null;
}

function readResolvers(read: EnvironmentReader, name: string): readonly string[] {
  const value = read.raw(name);
  if (value === undefined) return [];
  const servers = value.split(",").map(parseServer);
  if (servers.every((server) => server !== undefined && /^[0-9a-fA-F.:]+$/.test(server.host)))
    return servers.map((server) => formatAddress(server!));
  read.problem(name, "addresses of name servers separated by commas", value);
  return [];
}

function readKey(read: EnvironmentReader, name: string): TsigKey | null {
  const value = read.raw(name);
  if (value === undefined) return null;
  const key = readTsigKey(value);
  // A secret: a refusal does not repeat it.
  if (key === undefined) read.conflict(`Cannot parse ${name}: expected ${tsigKeyForm}`);
  return key ?? null;
}

/** The JSON of a registration, as acme-dns answers it. */
function readAcmeDnsAccount(read: EnvironmentReader, name: string): AcmeDnsAccount | null {
  const value = read.raw(name);
  if (value === undefined) return null;
  const account = parseAcmeDnsAccount(value);
  if (account === undefined) {
    read.conflict(`Cannot parse ${name}: expected JSON with username, password, subdomain and fulldomain`);
  }
  return account ?? null;
}

/** Undefined for what is not one. */
export function parseAcmeDnsAccount(text: string): AcmeDnsAccount | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const { username, password, subdomain, fulldomain } = (value ?? {}) as Record<string, unknown>;
  const isWhole = [username, password, subdomain, fulldomain].every((part) => typeof part === "string" && part !== "");
  return isWhole ? ({ username, password, subdomain, fulldomain } as AcmeDnsAccount) : undefined;
}
