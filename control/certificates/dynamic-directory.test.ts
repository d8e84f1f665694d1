import { once } from "node:events";
import { watch } from "node:fs";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import t, { type Test } from "tap";
import { DynamicDirectory } from "./dynamic-directory.ts";
import { testLog } from "./testing/log.ts";

const routes = {
  domain: "example.com",
  entryPoint: "web",
  tls: false,
  gatewayUrls: ["http://gateway:8080"],
  httpsPort: 443,
} as const;

async function open(t: Test) {
  const root = t.testdir({ private: {} });
  const path = join(root, "traefik", "dynamic");
  const directory = new DynamicDirectory(path, join(root, "private"));
  const log = testLog();
  await directory.open(log.logger);
  return { root, path, directory, log };
}

t.test("open() makes the directory and tells of files that others put there", async (t) => {
  const { path, directory, log } = await open(t);
  t.strictSame(log.lines, []);
  await writeFile(join(path, ".hidden.yaml"), "");
  await directory.writeRoutes(routes);
  await directory.open(log.logger);
  t.strictSame(log.lines[0]?.files, [".hidden.yaml"]);
});

t.test("writeRoutes() writes the previews and the API, each in a file of its own", async (t) => {
  const { path, directory } = await open(t);
  await directory.writeRoutes(routes);
  t.strictSame((await readdir(path)).sort(), ["api.yml", "previews.yml"]);
  t.match(await readFile(join(path, "api.yml"), "utf8"), "Host(`api.preview.example.com`)");
});

t.test("writeRoutes() touches nothing that says the same", async (t) => {
  const { path, directory } = await open(t);
  await directory.writeRoutes(routes);
  const { ino } = await stat(join(path, "previews.yml"));
  await directory.writeRoutes(routes);
  t.equal((await stat(join(path, "previews.yml"))).ino, ino);
  await directory.writeRoutes({ ...routes, domain: "example.org" });
  t.not((await stat(join(path, "previews.yml"))).ino, ino);
});

t.test("writeCertificate() keeps the key to its owner, and readCertificate() gives it back", async (t) => {
  const { path, directory } = await open(t);
  const pair = { chain: "chain\n", key: "key\n", source: "file" };
  t.equal(await directory.readCertificate(), undefined);
  t.equal(await directory.writeCertificate(pair), true);
  t.equal(await directory.writeCertificate(pair), false);
  t.equal((await stat(join(path, "certificate.yml"))).mode & 0o777, 0o600);
  t.strictSame(await directory.readCertificate(), pair);
  t.equal(await directory.removeCertificate(), true);
  t.equal(await directory.readCertificate(), undefined);
});

t.test("writeCertificate() never has a temporary file in the directory", async (t) => {
  const { path, root, directory } = await open(t);
  const names: (string | null)[] = [];
  const watcher = watch(path, (_event, name) => names.push(name));
  t.teardown(() => watcher.close());
  await directory.writeCertificate({ chain: "chain\n", key: "key\n", source: "file" });
  while (names.length === 0) await once(watcher, "change");
  t.strictSame(new Set(names), new Set(["certificate.yml"]));
  t.strictSame(await readdir(join(root, "private")), []);
});
