import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseEnv } from "node:util";
import {
  type Address,
  EnvironmentError,
  EnvironmentReader,
  formatAddress,
  type Variables,
} from "#contract/environment.ts";

/** What the command takes from the environment of the stack that it looks after. */
export type CliConfig = {
  readonly domain: string;
  readonly tls: boolean;
  readonly scheme: "http" | "https";
  readonly entryPoint: "web" | "websecure";
  readonly httpPort: number;
  readonly httpsPort: number;
  readonly apiBind: Address;
  readonly gatewayBinds: readonly Address[];
  readonly internalBind: Address;
  readonly trustedProxies: readonly string[];
  readonly proxyProtocol: boolean;
  readonly http3: boolean;
  readonly dataDirectory: string;
  readonly dynamicDirectory: string;
  readonly certSource: string;
  readonly engine: "docker" | "process";
  readonly dockerSocket: string;
  readonly image: string;
  readonly network: string;
  /** Where programs are looked for. */
  readonly path: string;
  /** Such as `runsc`; undefined: the daemon's default. */
  readonly runtime: string | undefined;
  readonly apiAuthDisabled: boolean;
  /** Without their names. */
  readonly apiSecrets: readonly string[];
  readonly previewSecrets: readonly string[];
  /** What control reads from elsewhere. */
  readonly remoteUrls: readonly string[];
  /** What could not be read, one line each; the defaults stand in. */
  readonly problems: readonly string[];
};

export type ConfigOptions = {
  /** As compose reads it: below the process's own variables. Not there, it says nothing. */
  readonly dotEnvFile: string;
};

const defaultEnvironmentFile = "/etc/sandboxed/sandboxd.env";

/**
 * The process's variables over those of `.env`, over those of the stack's environment file. Bad values are told in
 * `problems`: whoever looks for what is wrong has to go on.
 */
export function readConfig({ dotEnvFile }: ConfigOptions, variables: Variables = process.env): CliConfig {
  const problems: string[] = [];
  const readFile = (path: string) => readVariables(path, problems);
  const below = overlay(readFile(dotEnvFile), variables);
  const merged = overlay(readFile(below.SANDBOXD_ENV_FILE ?? defaultEnvironmentFile), below);
  const read = new EnvironmentReader(merged);
  const config = { ...readEdge(read), ...readPlaces(read), ...readAccess(read) };
  try {
    read.end();
  } catch (error) {
    if (!(error instanceof EnvironmentError)) throw error;
    problems.push(...error.problems);
  }
  return Object.freeze({ ...config, path: variables.PATH ?? "", problems });
}

function readEdge(read: EnvironmentReader) {
  const tls = read.boolean("PREVIEW_TLS", false);
  return {
    domain: read.domain("PREVIEW_DOMAIN", "localhost"),
    tls,
    scheme: read.choice("PREVIEW_SCHEME", tls ? "https" : "http", ["http", "https"]),
    entryPoint: read.choice("PREVIEW_ENTRYPOINT", "web", ["web", "websecure"]),
    httpPort: read.integer("HTTP_PORT", 80, { least: 1, most: 65_535 }),
    httpsPort: read.integer("HTTPS_PORT", 443, { least: 1, most: 65_535 }),
    apiBind: read.address("SANDBOXD_API_BIND", { host: "127.0.0.1", port: 9090 }),
    gatewayBinds: readGateways(read),
    internalBind: read.address("EDGE_INTERNAL_BIND", { host: "127.0.0.1", port: 8082 }),
    // The gateways' list begins with Traefik itself, on loopback.
    trustedProxies: read.networks("TRUSTED_PROXIES", []).filter((network) => !loopback.has(network)),
    proxyProtocol: read.boolean("PREVIEW_PROXY_PROTOCOL", false),
    http3: read.boolean("PREVIEW_HTTP3", false),
    certSource: read.text("SANDBOXD_CERT_SOURCE", "self-signed"),
    remoteUrls: readRemotes(read),
  };
}

const loopback: ReadonlySet<string> = new Set(["127.0.0.0/8", "::1"]);

/** Where Traefik reaches the gateways. */
function readGateways(read: EnvironmentReader): readonly Address[] {
  const bind = read.address("GATEWAY_BIND", { host: "127.0.0.1", port: 8080 });
  const urls = read.text("SANDBOXD_GATEWAY_URL", `http://${formatAddress(bind)}`).split(",");
  return urls.flatMap((text) => {
    const url = URL.parse(text.trim());
    if (url === null) return [];
    return [{ host: url.hostname.replace(/^\[|\]$/g, ""), port: Number(url.port || 80) }];
  });
}

function readPlaces(read: EnvironmentReader) {
  const dataDirectory = resolve(read.text("SANDBOXD_DATA_DIR", "/var/lib/sandboxed"));
  return {
    dataDirectory,
    dynamicDirectory: resolve(read.text("SANDBOXD_TRAEFIK_DYNAMIC_DIR", join(dataDirectory, "traefik", "dynamic"))),
    engine: read.choice("SANDBOXD_ENGINE", "docker", ["docker", "process"]),
    dockerSocket: resolve(read.text("SANDBOXD_DOCKER_SOCKET", "/var/run/docker.sock")),
    image: read.text("SANDBOXD_IMAGE", "sandboxd/sandbox:latest"),
    network: read.text("SANDBOXD_NETWORK", "sandboxd"),
    runtime: read.raw("SANDBOXD_RUNTIME"),
  };
}

/** Without a directory of its own a CA is this one. */
const defaultAuthority = "https://acme-v02.api.letsencrypt.org/directory";

function readRemotes(read: EnvironmentReader): readonly string[] {
  const asksAuthority = ["acme", "traefik"].includes(read.text("SANDBOXD_CERT_SOURCE", ""));
  const authority = asksAuthority ? read.text("SANDBOXD_ACME_DIRECTORY_URL", defaultAuthority) : undefined;
  const urls = [read.raw("SANDBOXD_PREVIEW_JWKS_URL"), authority];
  return urls.filter((url) => url !== undefined && URL.canParse(url)) as string[];
}

function readAccess(read: EnvironmentReader) {
  return {
    apiAuthDisabled: read.boolean("SANDBOXD_API_AUTH_DISABLED", false),
    apiSecrets: secretsOf(read.raw("SANDBOXD_API_TOKENS")),
    previewSecrets: secretsOf(read.raw("SANDBOXD_PREVIEW_TOKEN_SECRETS")),
  };
}

/** Of `name:secret` or `name=secret`, separated by commas. */
function secretsOf(list = ""): readonly string[] {
  const entries = list.split(",").filter((entry) => entry.trim() !== "");
  return entries.map((entry) =>
    entry
      .trim()
      .replace(/^[A-Za-z0-9._-]+[:=]/, "")
      .replace(/:(?:read|sandboxes|admin)$/, ""),
  );
}

function readVariables(path: string, problems: string[]): Variables {
  try {
    return existsSync(path) ? parseEnv(readFileSync(path, "utf8")) : {};
  } catch (error) {
    problems.push(`Cannot read ${path}: ${(error as Error).message}`);
    return {};
  }
}

/** Empty values are unset ones, and `SANDBOXED_X` is `SANDBOXD_X`, whoever spells it so. */
function overlay(below: Variables, above: Variables): Variables {
  return { ...canonical(below), ...canonical(above) };
}

function canonical(variables: Variables): Variables {
  const set = Object.entries(variables).filter(([, value]) => value !== undefined && value !== "");
  const old = set.map(([name, value]) => [name.replace(/^SANDBOXED_/, "SANDBOXD_"), value]);
  return { ...Object.fromEntries(old), ...Object.fromEntries(set) };
}
