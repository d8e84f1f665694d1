import { availableParallelism } from "node:os";
import { join, resolve } from "node:path";
import { highestSocketPathLength } from "#contract/control-socket.ts";
import { type Address, EnvironmentReader, type Variables } from "#contract/environment.ts";
import { environmentFileOf, overlay, readEnvironmentFile } from "#contract/environment-file.ts";
import { previewVariables, readPreview } from "#contract/preview-variables.ts";

/** What the gateway takes from its environment. Durations are in the unit that the name states. */
export type GatewayConfig = {
  readonly bind: Address;
  readonly workers: number;
  readonly domain: string;
  readonly controlSocket: string;
  readonly trustedProxies: readonly string[];
  readonly holdNavigationMs: number;
  readonly holdSeconds: number;
  readonly holdPerSandbox: number;
  readonly holdTotal: number;
  readonly requestsPerSandbox: number;
  readonly socketsPerSandbox: number;
  readonly requestsPerSecond: number;
  readonly activityFlushMs: number;
  readonly streamIdleSeconds: number;
  readonly connectTimeoutMs: number;
  readonly headTimeoutSeconds: number;
  readonly bodyIdleSeconds: number;
  readonly socketIdleSeconds: number;
  /** For the whole head of a request. */
  readonly clientHeadSeconds: number;
  readonly drainSeconds: number;
  /** Before it drains it takes requests for so long, and says that it leaves. */
  readonly acceptGraceSeconds: number;
  readonly pagesDirectory: string | undefined;
  readonly logLevel: string;
};

/** Every variable that the gateway reads; `.env.example` names them all. */
export const gatewayVariables = [
  "GATEWAY_BIND",
  "GATEWAY_WORKERS",
  ...previewVariables,
  "SANDBOXD_CONTROL_SOCKET",
  "SANDBOXD_DATA_DIR",
  "TRUSTED_PROXIES",
  "SANDBOXD_HOLD_NAVIGATION_MS",
  "SANDBOXD_HOLD_SECONDS",
  "SANDBOXD_HOLD_MAX_PER_SANDBOX",
  "SANDBOXD_HOLD_MAX_TOTAL",
  "SANDBOXD_LIMIT_REQUESTS",
  "SANDBOXD_LIMIT_SOCKETS",
  "SANDBOXD_LIMIT_REQUESTS_PER_SECOND",
  "SANDBOXD_ACTIVITY_FLUSH_MS",
  "SANDBOXD_STREAM_IDLE_SECONDS",
  "SANDBOXD_UPSTREAM_CONNECT_MS",
  "SANDBOXD_UPSTREAM_HEAD_SECONDS",
  "SANDBOXD_UPSTREAM_BODY_IDLE_SECONDS",
  "SANDBOXD_UPSTREAM_SOCKET_IDLE_SECONDS",
  "SANDBOXD_CLIENT_HEAD_SECONDS",
  "SANDBOXD_GATEWAY_DRAIN_SECONDS",
  "SANDBOXD_GATEWAY_ACCEPT_GRACE_SECONDS",
  "SANDBOXD_PAGES_DIR",
  "SANDBOXD_LOG_LEVEL",
  "SANDBOXD_ENV_FILE",
] as const;

const defaultDataDirectory = "/var/lib/sandboxed";
const logLevels = ["trace", "debug", "info", "warn", "error", "fatal"] as const;

/** Reads the process's environment over that of its environment file. Throws EnvironmentError naming every bad variable. */
export function readConfig(variables: Variables = process.env): GatewayConfig {
  const read = new EnvironmentReader(overlay(readEnvironmentFile(environmentFileOf(variables)), variables));
  const dataDirectory = resolve(read.text("SANDBOXD_DATA_DIR", defaultDataDirectory));
  const config: GatewayConfig = {
    bind: read.address("GATEWAY_BIND", { host: "127.0.0.1", port: 8080 }),
    workers: read.integer("GATEWAY_WORKERS", availableParallelism(), { least: 1, most: 256 }),
    domain: readPreview(read).domain,
    controlSocket: resolve(read.text("SANDBOXD_CONTROL_SOCKET", join(dataDirectory, "run", "control.sock"))),
    trustedProxies: read.networks("TRUSTED_PROXIES", ["127.0.0.0/8", "::1"]),
    holdNavigationMs: read.integer("SANDBOXD_HOLD_NAVIGATION_MS", 1500, { most: 600_000 }),
    holdSeconds: read.integer("SANDBOXD_HOLD_SECONDS", 60, { most: 3600 }),
    holdPerSandbox: read.integer("SANDBOXD_HOLD_MAX_PER_SANDBOX", 2000, { least: 1 }),
    holdTotal: read.integer("SANDBOXD_HOLD_MAX_TOTAL", 10_000, { least: 1 }),
    requestsPerSandbox: read.integer("SANDBOXD_LIMIT_REQUESTS", 4096, { least: 1 }),
    socketsPerSandbox: read.integer("SANDBOXD_LIMIT_SOCKETS", 16_384, { least: 1 }),
    requestsPerSecond: read.integer("SANDBOXD_LIMIT_REQUESTS_PER_SECOND", 0),
    activityFlushMs: read.integer("SANDBOXD_ACTIVITY_FLUSH_MS", 1000, { least: 10, most: 5_000 }),
    streamIdleSeconds: read.integer("SANDBOXD_STREAM_IDLE_SECONDS", 300, { least: 1 }),
    connectTimeoutMs: read.integer("SANDBOXD_UPSTREAM_CONNECT_MS", 3000, { least: 1, most: 60_000 }),
    headTimeoutSeconds: read.integer("SANDBOXD_UPSTREAM_HEAD_SECONDS", 300, { least: 1, most: 86_400 }),
    bodyIdleSeconds: read.integer("SANDBOXD_UPSTREAM_BODY_IDLE_SECONDS", 900, { least: 1, most: 86_400 }),
    socketIdleSeconds: read.integer("SANDBOXD_UPSTREAM_SOCKET_IDLE_SECONDS", 3600, { least: 1, most: 604_800 }),
    clientHeadSeconds: read.integer("SANDBOXD_CLIENT_HEAD_SECONDS", 60, { least: 1, most: 3600 }),
    drainSeconds: read.integer("SANDBOXD_GATEWAY_DRAIN_SECONDS", 10, { most: 3600 }),
    acceptGraceSeconds: read.integer("SANDBOXD_GATEWAY_ACCEPT_GRACE_SECONDS", 0, { most: 600 }),
    pagesDirectory: read.raw("SANDBOXD_PAGES_DIR"),
    logLevel: read.choice("SANDBOXD_LOG_LEVEL", "info", logLevels),
  };
  if (Buffer.byteLength(config.controlSocket) > highestSocketPathLength) {
    read.conflict(
      `Cannot use SANDBOXD_CONTROL_SOCKET: a unix socket's path has at most ${highestSocketPathLength} bytes`,
    );
  }
  read.end();
  return Object.freeze(config);
}
