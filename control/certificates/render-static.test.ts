import { spawnSync } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import t from "tap";

const command = fileURLToPath(new URL("./render-static.ts", import.meta.url));

function run(target: string[], environment: Record<string, string>) {
  const env = { SANDBOXD_ENV_FILE: "/nonexistent", ...environment };
  return spawnSync(process.execPath, [command, ...target], { env, encoding: "utf8" });
}

t.test("render-static.ts writes the file of its environment", async (t) => {
  const target = join(t.testdir({}), "new", "traefik.yml");
  const { status, stderr } = run([target], { TRUSTED_PROXIES: "10.1.2.3" });
  t.equal(status, 0, stderr);
  t.match(readFileSync(target, "utf8"), /trustedIPs:\n +- 10\.1\.2\.3\n/);
});

t.test("render-static.ts reads the environment file", async (t) => {
  const directory = t.testdir({ env: "PREVIEW_HTTP3=true\n" });
  const target = join(directory, "traefik.yml");
  t.equal(run([target], { SANDBOXD_ENV_FILE: join(directory, "env") }).status, 0);
  t.match(readFileSync(target, "utf8"), /advertisedPort: 443/);
});

t.test("render-static.ts ends with 2 for a bad environment and writes nothing", async (t) => {
  const target = join(t.testdir({}), "traefik.yml");
  const { status, stderr } = run([target], { PREVIEW_HTTP3: "yes", HTTPS_PORT: "x" });
  t.equal(status, 2);
  t.equal(stderr.trim().split("\n").length, 2);
  t.throws(() => readFileSync(target));
});

t.test("render-static.ts keeps the key of an external account to its owner", async (t) => {
  const target = join(t.testdir({}), "traefik.yml");
  const account = { SANDBOXD_ACME_EAB_KID: "kid", SANDBOXD_ACME_EAB_KEY: "c2VjcmV0" };
  const traefik = { SANDBOXD_CERT_SOURCE: "traefik", SANDBOXD_TRAEFIK_DNS_PROVIDER: "hetzner" };
  run([target], traefik);
  t.equal(statSync(target).mode & 0o777, 0o644);
  run([target], { ...traefik, ...account });
  t.equal(statSync(target).mode & 0o777, 0o600);
});

t.test("render-static.ts wants to know where to", async (t) => {
  t.equal(run([], {}).status, 2);
});
