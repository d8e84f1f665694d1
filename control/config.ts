import { availableParallelism } from "node:os";
import { join, resolve } from "node:path";
import { highestSocketPathLength } from "#contract/control-socket.ts";
import { type Address, EnvironmentReader, formatAddress, isLoopback, type Variables } from "#contract/environment.ts";
import { environmentFileOf, overlay, readEnvironmentFile, readRequiredFile } from "#contract/environment-file.ts";
import type { PreviewOrigin } from "#contract/preview-host.ts";
import { previewVariables, readPreview } from "#contract/preview-variables.ts";
import { type AccessConfig, accessVariables, readAccess } from "./access/access-config.ts";
import { type ApiToken, readApiTokens } from "./access/api-token.ts";
import type { Reloadable } from "./access/reload.ts";
import type { BackupRules } from "./backups/backups.ts";
import { type CertificateConfig, certificateVariables, readCertificates } from "./certificates/certificate-config.ts";
import { type DiskQuotaChoice, diskQuotaChoices } from "./disks/open-disk-quota.ts";
import { type EgressConfig, egressVariables, readEgress } from "./egress/egress-config.ts";
import { byteSizePattern, parseByteSize } from "./sandboxes/byte-size.ts";
import type { OwnerRules } from "./sandboxes/owner-limits.ts";
import { scheduleProblem } from "./sandboxes/schedule.ts";
import { readWakePolicy, type WakePolicy } from "./sandboxes/wake-policy.ts";
import type { Retention } from "./snapshots/retention.ts";

/** What control takes from its environment. Durations are in the unit that the name states. */
export type ControlConfig = CertificateConfig & {
  readonly origin: PreviewOrigin;
  readonly entryPoint: "web" | "websecure";
  readonly tls: boolean;
  readonly httpPort: number;
  readonly httpsPort: number;
  readonly apiBind: Address;
  readonly apiAuthDisabled: boolean;
  readonly apiTokens: readonly ApiToken[];
  /** Of one token; 0: any number. */
  readonly apiCallsPerSecond: number;
  /** 0: for ever. */
  readonly auditRetentionDays: number;
  readonly access: AccessConfig;
  readonly dataDirectory: string;
  /** The keys that seal secrets of sandboxes. */
  readonly secretKeyFile: string;
  readonly logDirectory: string;
  readonly logLevel: (typeof logLevels)[number];
  readonly controlSocket: string;
  readonly engine: "docker" | "process";
  /** Where sandboxes of the process engine look for their programs. */
  readonly path: string;
  readonly image: string;
  readonly network: string;
  readonly dockerSocket: string;
  /** The data directory as the Docker daemon sees it. */
  readonly hostDataDirectory: string;
  /** Such as `runsc`; null: the daemon's default. */
  readonly runtime: string | null;
  /** `host`, or empty for the daemon's own remapping. */
  readonly userns: "host" | "";
  readonly setMemoryHigh: boolean;
  readonly egress: EgressConfig;
  readonly diskQuota: DiskQuotaChoice;
  readonly idleThresholdSeconds: number;
  readonly idleReapIntervalSeconds: number;
  readonly pressureIntervalSeconds: number;
  /** Shares of the machine's available memory below which sandboxes are stopped, wakes refused, and any one stopped. */
  readonly memHeadroomPercent: number;
  readonly memRefuseWakesPercent: number;
  readonly memEmergencyPercent: number;
  /** What a start is taken to cost. */
  readonly wakeCostMb: number;
  /** More starts at once wait for each other. */
  readonly startsAtOnce: number;
  readonly keepaliveMaxSeconds: number;
  readonly maxUnattendedSeconds: number;
  readonly holdNavigationMs: number;
  readonly holdSeconds: number;
  readonly wakePolicy: WakePolicy;
  readonly ownerRules: OwnerRules;
  readonly backups: BackupRules;
  /** For sandboxes whose own policy says nothing. */
  readonly snapshotRetention: Retention;
  readonly gatewayBind: Address;
  /** Where Traefik reaches the gateways. */
  readonly gatewayUrls: readonly string[];
  readonly trustedProxies: readonly string[];
  readonly traefikDynamicDirectory: string;
};

/** Every variable that control reads; `.env.example` names them all. */
export const controlVariables = [
  ...previewVariables,
  "HTTP_PORT",
  "HTTPS_PORT",
  "GATEWAY_BIND",
  "TRUSTED_PROXIES",
  "SANDBOXD_ENV_FILE",
  "SANDBOXD_API_BIND",
  "SANDBOXD_API_AUTH_DISABLED",
  "SANDBOXD_API_TOKENS",
  "SANDBOXD_API_CALLS_PER_SECOND",
  "SANDBOXD_AUDIT_RETENTION_DAYS",
  ...accessVariables,
  "SANDBOXD_DATA_DIR",
  "SANDBOXD_SECRET_KEY_FILE",
  "SANDBOXD_LOG_DIR",
  "SANDBOXD_LOG_LEVEL",
  "SANDBOXD_CONTROL_SOCKET",
  "SANDBOXD_ENGINE",
  "SANDBOXD_IMAGE",
  "SANDBOXD_NETWORK",
  "SANDBOXD_USERNS",
  "SANDBOXD_RUNTIME",
  "SANDBOXD_DOCKER_SOCKET",
  "SANDBOXD_HOST_DATA_DIR",
  "SANDBOXD_SET_MEMORY_HIGH",
  ...egressVariables,
  "SANDBOXD_DISK_QUOTA",
  "SANDBOXD_IDLE_THRESHOLD_SECONDS",
  "SANDBOXD_IDLE_REAP_INTERVAL_SECONDS",
  "SANDBOXD_PRESSURE_INTERVAL_SECONDS",
  "SANDBOXD_MEM_HEADROOM_PCT",
  "SANDBOXD_MEM_REFUSE_WAKES_PCT",
  "SANDBOXD_MEM_EMERGENCY_PCT",
  "SANDBOXD_WAKE_COST_MB",
  "SANDBOXD_STARTS_AT_ONCE",
  "SANDBOXD_KEEPALIVE_MAX_SECONDS",
  "SANDBOXD_MAX_UNATTENDED_SECONDS",
  "SANDBOXD_HOLD_NAVIGATION_MS",
  "SANDBOXD_HOLD_SECONDS",
  "SANDBOXD_WAKE_POLICY",
  "SANDBOXD_BACKUP_SCHEDULE",
  "SANDBOXD_BACKUP_WORKSPACES",
  "SANDBOXD_BACKUPS_KEEP",
  "SANDBOXD_SNAPSHOTS_KEEP",
  "SANDBOXD_SNAPSHOTS_KEEP_DAYS",
  "SANDBOXD_USER_MAX_SANDBOXES",
  "SANDBOXD_USER_MAX_RUNNING",
  "SANDBOXD_USER_MAX_MEMORY",
  "SANDBOXD_GATEWAY_URL",
  "SANDBOXD_TRAEFIK_DYNAMIC_DIR",
  ...certificateVariables,
] as const;

/** By measurement (`npm run bench -- starts`): fewer leave cores idle, more make each start slower and none sooner. */
const startsPerCore = 4;
const logLevels = ["trace", "debug", "info", "warn", "error", "fatal"] as const;

/** Reads the process's environment over that of its environment file. Throws EnvironmentError naming every bad variable. */
export function readConfig(variables: Variables = process.env): ControlConfig {
  const file = readEnvironmentFile(environmentFileOf(variables));
  const merged = overlay(file, variables);
  const read = new EnvironmentReader(merged);
  const userns = readUserns(read, variables.SANDBOXD_USERNS ?? variables.SANDBOXED_USERNS ?? file.SANDBOXD_USERNS);
  const parts = {
    ...readEdge(read),
    ...readApi(read),
    ...readPlaces(read),
    ...readSandboxes(read),
  };
  const certificates = readCertificates(read, hookEnvironment(merged));
  const config = { ...parts, ...certificates, userns, path: variables.PATH ?? "" };
  if (!isLoopback(config.apiBind.host) && (config.apiAuthDisabled || config.apiTokens.length === 0)) {
    read.conflict(
      "Cannot use SANDBOXD_API_BIND: an address beyond loopback needs SANDBOXD_API_TOKENS and SANDBOXD_API_AUTH_DISABLED=false",
    );
  }
  read.end();
  return Object.freeze(config);
}

/** For a restore, which needs nothing else. Throws EnvironmentError. */
export function readDataDirectory(variables: Variables = process.env): string {
  const file = readEnvironmentFile(environmentFileOf(variables));
  return dataDirectoryOf(new EnvironmentReader(overlay(file, variables)));
}

function dataDirectoryOf(read: EnvironmentReader): string {
  return resolve(read.text("SANDBOXD_DATA_DIR", "/var/lib/sandboxed"));
}

/** Which of them are read again on SIGHUP. */
const reloadable: readonly string[] = ["SANDBOXD_API_TOKENS", ...accessVariables];

/** What may change while control runs: there the file wins over the process. Throws EnvironmentError as readConfig does. */
export function readReloadable(variables: Variables = process.env): Reloadable {
  const file = readRequiredFile(environmentFileOf(variables));
  const read = new EnvironmentReader(overlay(variables, file, reloadable));
  const parts = { apiTokens: readApiTokens(read, "SANDBOXD_API_TOKENS"), access: readAccess(read) };
  read.end();
  return parts;
}

function readEdge(read: EnvironmentReader) {
  const { domain, entryPoint, tls, scheme } = readPreview(read);
  const httpPort = read.integer("HTTP_PORT", 80, { least: 1, most: 65_535 });
  const httpsPort = read.integer("HTTPS_PORT", 443, { least: 1, most: 65_535 });
  const gatewayBind = read.address("GATEWAY_BIND", { host: "127.0.0.1", port: 8080 });
  const origin: PreviewOrigin = { domain, scheme, publicPort: scheme === "https" ? httpsPort : httpPort };
  return {
    origin,
    tls,
    httpPort,
    httpsPort,
    entryPoint,
    gatewayBind,
    gatewayUrls: readUrls(read, "SANDBOXD_GATEWAY_URL", `http://${formatAddress(dialled(gatewayBind))}`),
    trustedProxies: read.networks("TRUSTED_PROXIES", ["127.0.0.0/8", "::1"]),
  };
}

/** A hook of the operator's gets everything but what is control's own: its secrets are nobody else's. */
function hookEnvironment(variables: Variables): Variables {
  const own: readonly string[] = controlVariables;
  return Object.fromEntries(Object.entries(variables).filter(([name]) => !own.includes(name)));
}

/** Whoever listens on every address is dialled at this machine's own. */
function dialled({ host, port }: Address): Address {
  if (host === "0.0.0.0") return { host: "127.0.0.1", port };
  return host === "::" ? { host: "::1", port } : { host, port };
}

function readUrls(read: EnvironmentReader, name: string, otherwise: string): readonly string[] {
  const value = read.text(name, otherwise);
  const urls = value.split(",").map((part) => URL.parse(part.trim()));
  if (urls.every(isOrigin)) return urls.map(({ origin }) => origin);
  read.problem(name, "http://host:port, or several of them separated by commas", value);
  return [otherwise];
}

function isOrigin(url: URL | null): url is URL {
  return url !== null && (url.protocol === "http:" || url.protocol === "https:") && url.pathname === "/";
}

function readApi(read: EnvironmentReader) {
  return {
    apiBind: read.address("SANDBOXD_API_BIND", { host: "127.0.0.1", port: 9090 }),
    apiAuthDisabled: read.boolean("SANDBOXD_API_AUTH_DISABLED", false),
    apiTokens: readApiTokens(read, "SANDBOXD_API_TOKENS"),
    apiCallsPerSecond: read.integer("SANDBOXD_API_CALLS_PER_SECOND", 200, { most: 1_000_000 }),
    auditRetentionDays: read.integer("SANDBOXD_AUDIT_RETENTION_DAYS", 365, { most: 36_500 }),
    access: readAccess(read),
  };
}

function readPlaces(read: EnvironmentReader) {
  const dataDirectory = dataDirectoryOf(read);
  const controlSocket = resolve(read.text("SANDBOXD_CONTROL_SOCKET", join(dataDirectory, "run", "control.sock")));
  if (Buffer.byteLength(controlSocket) > highestSocketPathLength) {
    read.conflict(
      `Cannot use SANDBOXD_CONTROL_SOCKET: a unix socket's path has at most ${highestSocketPathLength} bytes, ` +
        `${JSON.stringify(controlSocket)} has ${Buffer.byteLength(controlSocket)} (its default is below SANDBOXD_DATA_DIR)`,
    );
  }
  return {
    dataDirectory,
    hostDataDirectory: resolve(read.text("SANDBOXD_HOST_DATA_DIR", dataDirectory)),
    secretKeyFile: resolve(read.text("SANDBOXD_SECRET_KEY_FILE", join(dataDirectory, "keys", "secrets.key"))),
    controlSocket,
    logDirectory: resolve(read.text("SANDBOXD_LOG_DIR", join(dataDirectory, "log"))),
    logLevel: read.choice("SANDBOXD_LOG_LEVEL", "info", logLevels),
    traefikDynamicDirectory: resolve(
      read.text("SANDBOXD_TRAEFIK_DYNAMIC_DIR", join(dataDirectory, "traefik", "dynamic")),
    ),
  };
}

/** The one variable whose empty value says something: no user namespace mode at all. */
function readUserns(read: EnvironmentReader, written: string | undefined): "host" | "" {
  return written === "" ? "" : read.choice("SANDBOXD_USERNS", "host", ["host"]);
}

function readSandboxes(read: EnvironmentReader) {
  const engine = read.choice("SANDBOXD_ENGINE", "docker", ["docker", "process"]);
  return {
    engine,
    egress: readEgress(read, engine),
    diskQuota: read.choice("SANDBOXD_DISK_QUOTA", "auto", diskQuotaChoices),
    image: read.text("SANDBOXD_IMAGE", "sandboxd/sandbox:latest"),
    network: read.text("SANDBOXD_NETWORK", "sandboxd"),
    runtime: read.raw("SANDBOXD_RUNTIME") ?? null,
    dockerSocket: resolve(read.text("SANDBOXD_DOCKER_SOCKET", "/var/run/docker.sock")),
    setMemoryHigh: read.boolean("SANDBOXD_SET_MEMORY_HIGH", false),
    idleThresholdSeconds: read.integer("SANDBOXD_IDLE_THRESHOLD_SECONDS", 2100, { least: 1 }),
    idleReapIntervalSeconds: read.integer("SANDBOXD_IDLE_REAP_INTERVAL_SECONDS", 30, { least: 1, most: 86_400 }),
    ...readMemory(read),
    keepaliveMaxSeconds: read.integer("SANDBOXD_KEEPALIVE_MAX_SECONDS", 86_400, { least: 1 }),
    maxUnattendedSeconds: read.integer("SANDBOXD_MAX_UNATTENDED_SECONDS", 14_400, { least: 1 }),
    holdNavigationMs: read.integer("SANDBOXD_HOLD_NAVIGATION_MS", 1500, { most: 600_000 }),
    holdSeconds: read.integer("SANDBOXD_HOLD_SECONDS", 60, { most: 3600 }),
    wakePolicy: readWakePolicy(read, "SANDBOXD_WAKE_POLICY"),
    backups: {
      schedule: readCron(read, "SANDBOXD_BACKUP_SCHEDULE", "0 3 * * *"),
      keep: read.integer("SANDBOXD_BACKUPS_KEEP", 7, { most: 100_000 }) || null,
      workspaces: read.boolean("SANDBOXD_BACKUP_WORKSPACES", false),
    },
    snapshotRetention: {
      keep: read.integer("SANDBOXD_SNAPSHOTS_KEEP", 20, { most: 100_000 }) || null,
      keepDays: read.integer("SANDBOXD_SNAPSHOTS_KEEP_DAYS", 0, { most: 36_500 }) || null,
    },
    ownerRules: {
      sandboxes: read.integer("SANDBOXD_USER_MAX_SANDBOXES", 0) || null,
      running: read.integer("SANDBOXD_USER_MAX_RUNNING", 0) || null,
      memoryBytes: readSize(read, "SANDBOXD_USER_MAX_MEMORY"),
    },
  };
}

/** A cron expression of five fields; null for `off`. */
function readCron(read: EnvironmentReader, name: string, otherwise: string): string | null {
  const value = read.text(name, otherwise);
  if (value === "off") return null;
  if (scheduleProblem({ timezone: "UTC", wake: [value], sleep: [] }) === undefined) return value;
  read.problem(name, "a cron expression of five fields, or off", value);
  return null;
}

/** A size as sandboxes have them; null when it is unset or 0. */
function readSize(read: EnvironmentReader, name: string): number | null {
  const value = read.raw(name);
  if (value === undefined || value === "0") return null;
  if (new RegExp(byteSizePattern).test(value)) return parseByteSize(value);
  read.problem(name, "bytes, or a number with K, M, G or T", value);
  return null;
}

function readMemory(read: EnvironmentReader) {
  const memHeadroomPercent = read.integer("SANDBOXD_MEM_HEADROOM_PCT", 15, { most: 100 });
  const memRefuseWakesPercent = read.integer("SANDBOXD_MEM_REFUSE_WAKES_PCT", 10, { most: 100 });
  const memEmergencyPercent = read.integer("SANDBOXD_MEM_EMERGENCY_PCT", 5, { most: 100 });
  if (memEmergencyPercent > memRefuseWakesPercent || memRefuseWakesPercent > memHeadroomPercent) {
    read.conflict(
      "Cannot use SANDBOXD_MEM_HEADROOM_PCT, SANDBOXD_MEM_REFUSE_WAKES_PCT, SANDBOXD_MEM_EMERGENCY_PCT: " +
        "each must be at most the one before",
    );
  }
  return {
    memHeadroomPercent,
    memRefuseWakesPercent,
    memEmergencyPercent,
    wakeCostMb: read.integer("SANDBOXD_WAKE_COST_MB", 800),
    startsAtOnce: read.integer("SANDBOXD_STARTS_AT_ONCE", startsPerCore * availableParallelism(), {
      least: 1,
      most: 1_000,
    }),
    pressureIntervalSeconds: read.integer("SANDBOXD_PRESSURE_INTERVAL_SECONDS", 10, { least: 1, most: 86_400 }),
  };
}
