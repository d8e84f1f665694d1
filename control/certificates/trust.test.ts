import { spawnSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import t, { type Test } from "tap";
import { missingPart } from "../../e2e/parts/parts.ts";
import { SelfSignedSource } from "./self-signed-source.ts";
import { testLog } from "./testing/log.ts";

const command = fileURLToPath(new URL("./trust.ts", import.meta.url));

/** A data directory with an authority; with a quote in its name, which shells must not see as one. */
async function dataDirectory(t: Test): Promise<string> {
  const directory = join(t.testdir({}), "it's data");
  const certificates = join(directory, "certificates");
  await mkdir(join(certificates, "private"), { recursive: true });
  await new SelfSignedSource(certificates, join(certificates, "private"), "example.com", testLog().logger).obtain(
    undefined,
    new Date(),
  );
  return directory;
}

function run(directory: string, environment: Record<string, string> = {}, ...rest: string[]) {
  return spawnSync(process.execPath, [command, ...rest], { cwd: directory, env: environment, encoding: "utf8" });
}

t.test("trust.ts names the authority and how to trust it", async (t) => {
  const data = await dataDirectory(t);
  const path = join(data, "certificates", "ca.pem");
  const { fingerprint256 } = new X509Certificate(await readFile(path));
  for (const { status, stdout } of [run("/", {}, data), run("/", { SANDBOXD_DATA_DIR: data })]) {
    t.equal(status, 0);
    for (const text of [path, fingerprint256, "update-ca-certificates", "curl --cacert"])
      t.ok(stdout.includes(text), text);
  }
});

t.test("trust.ts says when there is none", async (t) => {
  const { status, stderr } = run("/", {}, "/nonexistent");
  t.equal(status, 1);
  t.match(stderr, "/nonexistent/certificates/ca.pem");
});

t.test(
  "the command for Chromium puts the authority where Chromium looks",
  { skip: missingPart("chromium") },
  async (t) => {
    const data = await dataDirectory(t);
    const line = run("/", {}, data)
      .stdout.split("\n")
      .find((each) => each.includes("nssdb"))!;
    const home = t.testdirName;
    const environment = { PATH: process.env.PATH, HOME: home };
    const done = spawnSync("/bin/sh", ["-c", line], { env: environment, encoding: "utf8", input: "\n\n" });
    t.equal(done.status, 0, done.stderr);
    const list = spawnSync("certutil", ["-d", `sql:${home}/.pki/nssdb`, "-L"], { env: environment, encoding: "utf8" });
    t.match(list.stdout, /^sandboxd +C,,/m);
  },
);
