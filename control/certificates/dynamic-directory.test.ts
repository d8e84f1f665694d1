import { once } from "node:events";
import { existsSync, watch } from "node:fs";
import { mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
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
  const log = testLog();
  const directory = new DynamicDirectory(path, join(root, "private"), log.logger);
  await directory.open();
  return { root, path, directory, log };
}

t.test("open() makes the directory and tells of files that others put there", async (t) => {
  const { path, directory, log } = await open(t);
  t.strictSame(log.lines, []);
  await writeFile(join(path, ".hidden.yaml"), "");
  await directory.writeRoutes(routes);
  await directory.open();
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

t.test("open() removes what a process that died while it wrote left behind", async (t) => {
  const { root, path, directory } = await open(t);
  const leftovers = [
    join(root, "private", ".certificate.yml.0123456789ab"),
    join(root, "traefik", ".api.yml.0123456789ab"),
  ];
  const others = [join(root, "private", "ca.key"), join(root, "traefik", ".traefik.yml.0123456789ab")];
  for (const each of [...leftovers, ...others]) await writeFile(each, "");
  await directory.open();
  t.strictSame([...leftovers, ...others].map(existsSync), [false, false, true, true]);
  t.ok(existsSync(path));
});

t.test("inspect() names the files that are in the way, once in the log", async (t) => {
  const { path, directory, log } = await open(t);
  await directory.writeRoutes(routes);
  await directory.writeCertificate({ chain: "chain\n", key: "key\n", source: "file" });
  t.equal(await directory.inspect(), false);
  await mkdir(join(path, "sub"));
  await writeFile(join(path, "sub", "foreign.yml"), "http: [");
  await writeFile(join(path, "fine.toml"), "");
  await writeFile(join(path, "notes.txt"), "http: [");
  t.equal(await directory.inspect(), true);
  t.equal(await directory.inspect(), false);
  t.match(directory.problems, [{ file: "sub/foreign.yml", problem: /^does not parse/ }]);
  t.equal(directory.problems.length, 1);
  const lines = log.lines.filter(({ msg }) => msg === "a file in Traefik's dynamic directory is in the way");
  t.match(lines, [{ level: 50, file: "sub/foreign.yml", problem: /^does not parse/ }]);
  t.equal(lines.length, 1);
  await rm(join(path, "sub", "foreign.yml"));
  t.equal(await directory.inspect(), true);
  t.strictSame(directory.problems, []);
  t.equal(log.lines.at(-1)?.msg, "Traefik's dynamic directory is in order again");
});

t.test("inspect() looks at our own files too: others may have changed them", async (t) => {
  const { path, directory } = await open(t);
  await directory.writeRoutes(routes);
  await writeFile(join(path, "previews.yml"), "http: [");
  await directory.inspect();
  t.match(directory.problems, [{ file: "previews.yml" }]);
});

t.test("watch() tells of a file that appears, and of one below that no event tells of", async (t) => {
  const { path, directory } = await open(t);
  await mkdir(join(path, "sub"));
  for (const [file, everyMs] of [
    ["foreign.yml", 3_600_000],
    ["sub/foreign.yml", 10],
  ] as const) {
    const changed = Promise.withResolvers<void>();
    using _watch = directory.watch(everyMs, changed.resolve);
    const alive = setInterval(() => {}, 1000);
    await writeFile(join(path, file), "http: [");
    await changed.promise;
    clearInterval(alive);
    t.ok(directory.problems.some((each) => each.file === file));
  }
});
