import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { EnvironmentError, EnvironmentReader, type Variables } from "#contract/environment.ts";
import { controlVariables, readConfig } from "./config.ts";

const directory = mkdtempSync(join(tmpdir(), "config-"));
t.teardown(() => rmSync(directory, { recursive: true }));
const noFile = { SANDBOXD_ENV_FILE: join(directory, "none") };

const read = (variables: Variables) => readConfig({ ...noFile, ...variables });

function problemsOf(variables: Variables): readonly string[] {
  try {
    read(variables);
  } catch (error) {
    if (error instanceof EnvironmentError) return error.problems;
    throw error;
  }
  return [];
}

t.test("readConfig() has the defaults that are written down", async (t) => {
  t.match(read({}), {
    origin: { domain: "localhost", scheme: "http", publicPort: 80 },
    ...{ entryPoint: "web", tls: false, httpPort: 80, httpsPort: 443 },
    ...{ apiBind: { host: "127.0.0.1", port: 9090 }, apiAuthDisabled: false, apiTokens: [] },
    ...{
      dataDirectory: "/var/lib/sandboxed",
      logDirectory: "/var/lib/sandboxed/log",
      hostDataDirectory: "/var/lib/sandboxed",
    },
    ...{ controlSocket: "/var/lib/sandboxed/run/control.sock", engine: "docker", userns: "host", setMemoryHigh: false },
    ...{
      idleThresholdSeconds: 2100,
      idleReapIntervalSeconds: 30,
      keepaliveMaxSeconds: 86_400,
      maxUnattendedSeconds: 14_400,
    },
    ...{ holdNavigationMs: 1500, holdSeconds: 60, gatewayUrls: ["http://127.0.0.1:8080"], certSource: "self-signed" },
    traefikDynamicDirectory: "/var/lib/sandboxed/traefik/dynamic",
  });
  t.ok(Object.isFrozen(read({})));
});

t.test("readConfig() names every bad value at once, one line each", async (t) => {
  const problems = problemsOf({
    HTTP_PORT: "0x50",
    PREVIEW_TLS: "yes",
    SANDBOXD_ENGINE: "podman",
    SANDBOXD_IDLE_THRESHOLD_SECONDS: "35m",
    SANDBOXD_KEEPALIVE_MAX_SECONDS: "-1",
    SANDBOXD_HOLD_SECONDS: "1.5",
    SANDBOXD_API_BIND: "9090",
    SANDBOXD_GATEWAY_URL: "gateway:8080",
    SANDBOXD_WAKE_POLICY: "{",
    SANDBOXD_USERNS: "private",
    TRUSTED_PROXIES: "10.0.0.0/33",
  });
  t.equal(problems.length, 11);
  t.ok(problems.every((problem) => /^Cannot parse [A-Z_]+: expected /.test(problem) && !problem.includes("\n")));
});

t.test("readConfig() takes an empty value for an unset one, and either spelling of a name", async (t) => {
  t.match(read({ SANDBOXD_HOLD_SECONDS: "", SANDBOXED_ENGINE: "process" }), { holdSeconds: 60, engine: "process" });
  t.match(read({ SANDBOXD_ENGINE: "docker", SANDBOXED_ENGINE: "process" }), { engine: "docker" });
});

t.test("readConfig() reads tokens in both forms and never repeats a secret", async (t) => {
  const { apiTokens } = read({
    SANDBOXD_API_TOKENS: "ada:s3cret, ci=a:b=c, eye:x:y:read,hand=z:sandboxes,own:w:admin",
  });
  t.same(apiTokens, [
    { name: "ada", secret: "s3cret", scope: "admin" },
    { name: "ci", secret: "a:b=c", scope: "admin" },
    { name: "eye", secret: "x:y", scope: "read" },
    { name: "hand", secret: "z", scope: "sandboxes" },
    { name: "own", secret: "w", scope: "admin" },
  ]);
  const problems = problemsOf({ SANDBOXD_API_TOKENS: "ada:s3cret,topsecret,ada:again,:x" });
  t.equal(problems.length, 3);
  t.notMatch(problems.join(), /s3cret|topsecret|again/);
});

t.test("readConfig() refuses an address beyond loopback without authentication", async (t) => {
  const bind = { SANDBOXD_API_BIND: "0.0.0.0:9090" };
  const tokens = { SANDBOXD_API_TOKENS: "ada:s3cret" };
  t.match(problemsOf(bind), [/SANDBOXD_API_BIND/]);
  t.match(problemsOf({ ...bind, ...tokens, SANDBOXD_API_AUTH_DISABLED: "true" }), [/SANDBOXD_API_BIND/]);
  t.same(problemsOf({ ...bind, ...tokens }), []);
  t.same(problemsOf({ SANDBOXD_API_BIND: "[::1]:9090" }), []);
});

t.test("readConfig() refuses a socket path that no system takes", async (t) => {
  t.match(problemsOf({ SANDBOXD_DATA_DIR: `/${"x".repeat(100)}` }), [/SANDBOXD_CONTROL_SOCKET.*at most 10[37] bytes/]);
  t.same(problemsOf({ SANDBOXD_DATA_DIR: `/${"x".repeat(100)}`, SANDBOXD_CONTROL_SOCKET: "/run/s.sock" }), []);
});

t.test("readConfig() lets URLs follow TLS and the published ports", async (t) => {
  const originOf = (variables: Variables) => read(variables).origin;
  t.match(originOf({ PREVIEW_TLS: "true", HTTPS_PORT: "8443" }), { scheme: "https", publicPort: 8443 });
  t.match(originOf({ HTTP_PORT: "8000" }), { scheme: "http", publicPort: 8000 });
  t.match(originOf({ PREVIEW_SCHEME: "https" }), { scheme: "https", publicPort: 443 });
  t.same(read({ GATEWAY_BIND: "0.0.0.0:8081" }).gatewayUrls, ["http://127.0.0.1:8081"]);
  t.same(read({ SANDBOXD_GATEWAY_URL: "http://gateway:8080/" }).gatewayUrls, ["http://gateway:8080"]);
});

t.test("readConfig() reads the URLs of several gateways", async (t) => {
  const { gatewayUrls } = read({ SANDBOXD_GATEWAY_URL: "http://127.0.0.1:8080, http://127.0.0.1:8081" });
  t.same(gatewayUrls, ["http://127.0.0.1:8080", "http://127.0.0.1:8081"]);
  t.match(problemsOf({ SANDBOXD_GATEWAY_URL: "http://127.0.0.1:8080,8081" }), [/SANDBOXD_GATEWAY_URL/]);
  t.match(problemsOf({ SANDBOXD_GATEWAY_URL: "http://127.0.0.1:8080," }), [/SANDBOXD_GATEWAY_URL/]);
});

t.test("readConfig() tells an empty SANDBOXD_USERNS from an unset one", async (t) => {
  t.equal(read({ SANDBOXD_USERNS: "" }).userns, "");
  t.equal(read({}).userns, "host");
});

t.test("readConfig() lays the process over its file", async (t) => {
  const path = join(directory, "sandboxd.env");
  writeFileSync(path, "SANDBOXD_ENGINE=process\nSANDBOXD_HOLD_SECONDS=5\nSANDBOXD_USERNS=\n");
  const config = readConfig({ SANDBOXD_ENV_FILE: path, SANDBOXED_HOLD_SECONDS: "7" });
  t.match(config, { engine: "process", holdSeconds: 7, userns: "" });
});

t.test("controlVariables names every variable that is read", async (t) => {
  const read = new Set<string>();
  t.intercept(EnvironmentReader.prototype, "raw", {
    value(this: EnvironmentReader, name: string) {
      read.add(name);
      return undefined;
    },
  });
  readConfig(noFile);
  read.add("SANDBOXD_ENV_FILE");
  t.strictSame([...read].sort(), [...controlVariables].sort());
});

t.test("readConfig() refuses bounds of memory in a wrong order", async (t) => {
  t.match(readConfig(noFile), { memHeadroomPercent: 15, memRefuseWakesPercent: 10, memEmergencyPercent: 5 });
  const wrong = { ...noFile, SANDBOXD_MEM_EMERGENCY_PCT: "11" };
  t.throws(() => readConfig(wrong), /SANDBOXD_MEM_EMERGENCY_PCT: each must be at most the one before/);
  const off = { SANDBOXD_MEM_HEADROOM_PCT: "0", SANDBOXD_MEM_REFUSE_WAKES_PCT: "0", SANDBOXD_MEM_EMERGENCY_PCT: "0" };
  t.match(readConfig({ ...noFile, ...off }), { memHeadroomPercent: 0, memEmergencyPercent: 0 });
});

t.test("readConfig() wants to know how a certificate is to be had", async (t) => {
  t.match(problemsOf({ SANDBOXD_CERT_SOURCE: "acme" }), [/SANDBOXD_ACME_DNS must say how challenges are answered/]);
  t.match(problemsOf({ SANDBOXD_CERT_SOURCE: "traefik" }), [/SANDBOXD_TRAEFIK_DNS_PROVIDER must name/]);
  t.match(problemsOf({ SANDBOXD_CERT_SOURCE: "other" }), [/self-signed or file or acme or traefik/]);
});

t.test("readConfig() gives a hook what the operator wrote, and nothing of control's own", async (t) => {
  const hook = { SANDBOXD_ACME_DNS: "exec", SANDBOXD_ACME_EXEC: "/hook" };
  const { acme } = read({ ...hook, SANDBOXD_API_TOKENS: "ada:secret", SANDBOXED_ACME_EAB_KID: "", CF_TOKEN: "token" });
  t.strictSame(acme?.dns, { method: "exec", program: "/hook", environment: { CF_TOKEN: "token" } });
});
