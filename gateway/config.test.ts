import { join } from "node:path";
import t from "tap";
import { EnvironmentError, EnvironmentReader } from "#contract/environment.ts";
import { previewVariables } from "#contract/preview-variables.ts";
import { gatewayVariables, readConfig } from "./config.ts";

const none = { SANDBOXD_ENV_FILE: "/nonexistent/sandboxd.env" };

function problems(variables: Record<string, string>): readonly string[] {
  try {
    readConfig({ ...none, ...variables });
  } catch (error) {
    if (error instanceof EnvironmentError) return error.problems;
    throw error;
  }
  return [];
}

t.test("readConfig() needs nothing, and gives what the specification says", async (t) => {
  t.match(readConfig(none), {
    bind: { host: "127.0.0.1", port: 8080 },
    domain: "localhost",
    controlSocket: "/var/lib/sandboxed/run/control.sock",
    trustedProxies: ["127.0.0.0/8", "::1"],
    holdNavigationMs: 1500,
    holdSeconds: 60,
    activityFlushMs: 1000,
    streamIdleSeconds: 300,
    pagesDirectory: undefined,
    logLevel: "info",
  });
  t.ok(readConfig(none).workers >= 1);
});

t.test("readConfig() gives a value that nobody changes", async (t) => {
  t.ok(Object.isFrozen(readConfig(none)));
});

t.test("readConfig() reads what is set", async (t) => {
  const config = readConfig({
    ...none,
    GATEWAY_BIND: "[::1]:0",
    GATEWAY_WORKERS: "3",
    PREVIEW_DOMAIN: "Example.COM",
    SANDBOXD_CONTROL_SOCKET: "/run/control.sock",
    TRUSTED_PROXIES: "10.0.0.0/8, fd00::/8",
    SANDBOXD_HOLD_NAVIGATION_MS: "0",
    SANDBOXD_HOLD_SECONDS: "7",
    SANDBOXD_PAGES_DIR: "/etc/pages",
    SANDBOXD_LOG_LEVEL: "debug",
  });
  t.match(config, {
    bind: { host: "::1", port: 0 },
    workers: 3,
    domain: "example.com",
    controlSocket: "/run/control.sock",
    trustedProxies: ["10.0.0.0/8", "fd00::/8"],
    holdNavigationMs: 0,
    holdSeconds: 7,
    pagesDirectory: "/etc/pages",
    logLevel: "debug",
  });
});

t.test("readConfig() looks for control below the data directory", async (t) => {
  t.equal(readConfig({ ...none, SANDBOXD_DATA_DIR: "/data" }).controlSocket, "/data/run/control.sock");
});

t.test("readConfig() names every bad value at once", async (t) => {
  const bad: Record<string, string> = {
    GATEWAY_BIND: "8080",
    GATEWAY_WORKERS: "0",
    PREVIEW_DOMAIN: "-x-",
    SANDBOXD_CONTROL_SOCKET: `/${"x".repeat(200)}`,
    TRUSTED_PROXIES: "10.0.0.0/33",
    SANDBOXD_LOG_LEVEL: "loud",
  };
  const numbers = gatewayVariables.filter((name) => /_(MS|SECONDS|MAX_\w+|REQUESTS|SOCKETS|SECOND)$/.test(name));
  t.ok(numbers.length > 10);
  for (const name of numbers) bad[name] = "8s";
  const named = problems(bad).map((problem) => /^Cannot (?:parse|use) (\w+): /.exec(problem)?.[1]);
  t.strictSame(named.sort(), Object.keys(bad).sort());
  t.match(problems({ SANDBOXD_HOLD_SECONDS: "8s" }), [
    /^Cannot parse SANDBOXD_HOLD_SECONDS: expected a whole number .*, got "8s"$/,
  ]);
});

t.test("readConfig() takes no number in another spelling, and none out of range", async (t) => {
  for (const value of ["35m", "0x10", "1.5", "-1", "1e3", " 1", "+1", "01", "3601", "NaN"]) {
    t.equal(problems({ SANDBOXD_HOLD_SECONDS: value }).length, 1, value);
  }
  t.strictSame(problems({ SANDBOXD_HOLD_SECONDS: "" }), [], "an empty value is an unset one");
});

t.test("readConfig() takes SANDBOXED_X for SANDBOXD_X", async (t) => {
  t.equal(readConfig({ ...none, SANDBOXED_HOLD_SECONDS: "7" }).holdSeconds, 7);
  t.equal(readConfig({ ...none, SANDBOXED_HOLD_SECONDS: "7", SANDBOXD_HOLD_SECONDS: "8" }).holdSeconds, 8);
  const directory = t.testdir({ env: "SANDBOXD_HOLD_SECONDS=9" });
  t.equal(readConfig({ SANDBOXED_ENV_FILE: join(directory, "env") }).holdSeconds, 9);
});

t.test("readConfig() lays the process's environment over its file's", async (t) => {
  const directory = t.testdir({
    env: '# a comment\nPREVIEW_DOMAIN="file.example"\nSANDBOXD_HOLD_SECONDS=7\nSANDBOXED_STREAM_IDLE_SECONDS=8\nOTHER=x\n',
  });
  const file = { SANDBOXD_ENV_FILE: join(directory, "env") };
  t.match(readConfig(file), { domain: "file.example", holdSeconds: 7, streamIdleSeconds: 8 });
  const process = { ...file, PREVIEW_DOMAIN: "process.example", SANDBOXED_HOLD_SECONDS: "17" };
  t.match(readConfig(process), { domain: "process.example", holdSeconds: 17 }, "whichever name it uses");
  t.equal(readConfig({ ...file, SANDBOXD_STREAM_IDLE_SECONDS: "18" }).streamIdleSeconds, 18);
  t.equal(readConfig({ ...file, PREVIEW_DOMAIN: "" }).domain, "file.example", "an empty value is an unset one");
});

t.test("readConfig() names bad values of the file too", async (t) => {
  const directory = t.testdir({ env: "GATEWAY_WORKERS=many\n" });
  t.throws(() => readConfig({ SANDBOXD_ENV_FILE: join(directory, "env"), GATEWAY_BIND: "x" }), {
    message: /GATEWAY_BIND.*\n.*GATEWAY_WORKERS/,
  });
});

t.test("readConfig() passes over no line of the file in silence", async (t) => {
  const directory = t.testdir({ env: "GATEWAY_WORKERS=2\nSANDBOXD_HOLD_SECONDS 7\n" });
  t.strictSame(problems({ SANDBOXD_ENV_FILE: join(directory, "env") }), [
    `Cannot parse SANDBOXD_ENV_FILE: ${join(directory, "env")}, line 2: expected NAME=value`,
  ]);
});

t.test("readConfig() refuses a file that it cannot read, and needs none", async (t) => {
  t.throws(() => readConfig({ SANDBOXD_ENV_FILE: t.testdir({}) }), { message: /^Cannot read SANDBOXD_ENV_FILE: / });
  const directory = t.testdir({ file: "" });
  t.strictSame(problems({ SANDBOXD_ENV_FILE: join(directory, "file", "below") }), []);
});

t.test("readConfig() refuses a file with a line that says nothing", async (t) => {
  const directory = t.testdir({ env: "SANDBOXD_HOLD_SECONDS 7\n" });
  t.throws(() => readConfig({ SANDBOXD_ENV_FILE: join(directory, "env") }), {
    message: /^Cannot parse SANDBOXD_ENV_FILE: .*line 1: expected NAME=value$/,
  });
});

t.test("readConfig() refuses a bad value of what both processes read", async (t) => {
  for (const name of previewVariables) t.match(problems({ [name]: "a b" }), [`Cannot parse ${name}: `], name);
});

t.test("gatewayVariables names everything that readConfig() reads", async (t) => {
  const read = new Set<string>();
  t.intercept(EnvironmentReader.prototype, "raw", {
    value(this: EnvironmentReader, name: string) {
      read.add(name);
      return undefined;
    },
  });
  readConfig(none);
  read.add("SANDBOXD_ENV_FILE");
  t.strictSame([...read].sort(), [...gatewayVariables].sort());
});
