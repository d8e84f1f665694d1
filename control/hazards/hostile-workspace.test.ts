/** What a sandbox may put into its workspace against whoever copies it: nothing of the host comes into a snapshot, nor the other way. */
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import t, { type Test } from "tap";
import { newSandboxId } from "../sandboxes/create-sandbox.ts";
import { SnapshotFiles } from "../snapshots/snapshot-files.ts";
import { checkRoom, removeTree } from "../snapshots/tree-copy.ts";
import { newDirectory } from "../testing/control.ts";

const isRoot = process.getuid?.() === 0;

function setUp(t: Test) {
  const directory = newDirectory(t);
  // The test's own removal goes by whole paths, which some of these trees are too deep for.
  t.teardown(() => removeTree(join(directory, "workspaces")));
  const files = new SnapshotFiles(directory);
  const id = newSandboxId();
  const app = join(files.workspace(id), "workspace", "app");
  mkdirSync(app, { recursive: true });
  const secret = join(directory, "secret");
  writeFileSync(secret, "of the host");
  const snapshot = newSandboxId();
  const take = async () => {
    await files.checkRoomFor(id);
    await files.copy(id, snapshot);
    return files.keep(snapshot);
  };
  const copied = (name: string) => join(directory, "snapshots", snapshot, "workspace", "app", name);
  return { directory, files, id, app, secret, snapshot, take, copied };
}

t.test("links are copied and never followed, into a snapshot and out of it", async (t) => {
  const { directory, files, id, app, secret, snapshot, take, copied } = setUp(t);
  const links = {
    file: secret,
    up: "../../../..",
    root: "/",
    none: "no/such/file",
    loop: "loop",
    proc: "/proc/self/environ",
  };
  for (const [name, target] of Object.entries(links)) symlinkSync(target, join(app, name));
  await take();
  for (const [name, target] of Object.entries(links)) t.equal(readlinkSync(copied(name)), target);
  await files.stage(snapshot, id);
  await files.swap(id);
  await files.tidy(id);
  for (const [name, target] of Object.entries(links)) t.equal(readlinkSync(join(app, name)), target);
  t.equal(readFileSync(secret, "utf8"), "of the host");
  await (await files.remove(snapshot))();
  t.equal(readFileSync(secret, "utf8"), "of the host");
  t.same(readdirSync(join(directory, "snapshots")), []);
});

t.test("a link in the place of every directory of ours leads a copy nowhere", async (t) => {
  const { files, id, app, snapshot, take, directory } = setUp(t);
  execFileSync("rm", ["-r", join(app, "..")]);
  const outside = join(directory, "outside");
  mkdirSync(join(outside, "app"), { recursive: true });
  writeFileSync(join(outside, "app", "file"), "of the host");
  symlinkSync(outside, join(files.workspace(id), "workspace"));
  await take();
  t.ok(lstatSync(join(directory, "snapshots", snapshot, "workspace")).isSymbolicLink());
});

t.test("devices, sockets and pipes are left out, and named", async (t) => {
  const { app, take, copied } = setUp(t);
  mkdirSync(join(app, "dir"));
  execFileSync("mkfifo", [join(app, "pipe"), join(app, "dir", "pipe\nwith a line")]);
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(join(app, "socket"), resolve));
  t.teardown(() => server.close());
  if (isRoot) execFileSync("mknod", [join(app, "device"), "c", "1", "3"]);
  writeFileSync(join(app, "file"), "stays");
  const { skipped, skippedCount } = await take();
  const names = ["dir/pipe\nwith a line", ...(isRoot ? ["device"] : []), "pipe", "socket"];
  t.same(skipped.toSorted(), names.map((name) => `workspace/app/${name}`).sort());
  t.equal(skippedCount, names.length);
  t.same(readdirSync(copied("")).sort(), ["dir", "file"]);
});

t.test("so many pipes are counted, and the first of them named", async (t) => {
  const { app, take } = setUp(t);
  execFileSync(
    "mkfifo",
    Array.from({ length: 1_000 }, (_, n) => join(app, `pipe-${n}`)),
  );
  t.match(await take(), { skippedCount: 1_000, skipped: { length: 100 } });
});

t.test("hard links stay together in a copy, and apart from what it was made of", async (t) => {
  const { app, take, copied } = setUp(t);
  writeFileSync(join(app, "one"), "first");
  linkSync(join(app, "one"), join(app, "two"));
  await take();
  t.equal(statSync(copied("one")).ino, statSync(copied("two")).ino);
  t.equal(statSync(copied("one")).nlink, 2);
  writeFileSync(join(app, "one"), "later");
  t.equal(readFileSync(copied("two"), "utf8"), "first");
});

t.test("owners, modes and times are kept", async (t) => {
  const { app, take, copied } = setUp(t);
  const path = join(app, "file");
  writeFileSync(path, "x");
  chmodSync(path, 0o4711);
  mkdirSync(join(app, "shut"), { mode: 0o500 });
  utimesSync(path, 1_000, 2_000);
  if (isRoot) chownSync(path, 1234, 5678);
  if (isRoot) chmodSync(path, 0o4711);
  await take();
  const [before, after] = [statSync(path), statSync(copied("file"))];
  for (const field of ["uid", "gid", "mode", "mtimeMs"] as const) t.equal(after[field], before[field], field);
  t.equal(statSync(copied("shut")).mode & 0o777, 0o500);
});

t.test("a file of holes takes no room in a copy", async (t) => {
  const { app, take, copied } = setUp(t);
  writeFileSync(join(app, "holes"), "x");
  truncateSync(join(app, "holes"), 2 ** 40);
  const { sizeBytes } = await take();
  t.ok(sizeBytes < 2 ** 20, String(sizeBytes));
  t.equal(statSync(copied("holes")).size, 2 ** 40);
});

t.test("a copy that the disk has no room for is refused before it begins", async (t) => {
  const { directory } = setUp(t);
  await checkRoom(directory, 0);
  await t.rejects(checkRoom(directory, 2 ** 60), { code: "too_large" });
});

t.test("names of every kind are copied", async (t) => {
  const { app, take, copied } = setUp(t);
  const names = ["-rf", "--", "a\nb", "*", "$(id)", " ", "ü", "x".repeat(255)].map((name) => Buffer.from(name));
  const all = [...names, Buffer.from([0xff, 0xfe, 0x41])];
  for (const name of all) writeFileSync(Buffer.concat([Buffer.from(`${app}/`), name]), "x");
  await take();
  t.same(readdirSync(copied(""), { encoding: "buffer" }).sort(Buffer.compare), all.sort(Buffer.compare));
});

t.test("a tree that no path reaches the end of is copied or refused, and can be removed", async (t) => {
  const { files, id, app, take, directory } = setUp(t);
  const dig =
    "for (let n = 0; n < 600; n++) { fs.mkdirSync('dddddddddd'); process.chdir('dddddddddd') } fs.writeFileSync('end', '')";
  execFileSync(process.execPath, ["-e", dig], { cwd: app });
  const outcome = await take().then(
    () => "copied",
    (error: Error) => error.name,
  );
  t.ok(["copied", "TreeError"].includes(outcome), outcome);
  t.comment(outcome);
  await removeTree(files.workspace(id));
  await removeTree(join(directory, "snapshots"));
  t.same(readdirSync(directory).sort(), ["secret", "workspaces"]);
});
