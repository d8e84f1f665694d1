import { execFileSync } from "node:child_process";
import {
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t, { type Test } from "tap";
import { split, walk, walkToParent } from "./walk.ts";
import { Workspace } from "./workspace.ts";

function open(t: Test) {
  const directory = mkdtempSync(join(tmpdir(), "walk-"));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const root = join(directory, "workspace-of-one");
  mkdirSync(join(root, "workspace", "app"), { recursive: true });
  writeFileSync(join(root, "workspace", "app", "index.js"), "inside");
  writeFileSync(join(directory, "secret"), "outside");
  const workspace = new Workspace(root);
  const at = (path: string) => split(Buffer.from(path));
  const read = async (path: string, follow = true) => {
    await using place = await walk(workspace, at(path), { follow });
    if (!place.stats.isFile()) return place.stats.isSymbolicLink() ? "a link" : "no file";
    await using file = await place.openFile();
    return file.readFile("utf8");
  };
  return { directory, root, workspace, at, read, inRoot: (path: string) => join(root, path) };
}

t.test("walk() finds what is there", async (t) => {
  const { read, workspace, at } = open(t);
  t.equal(await read("workspace/app/index.js"), "inside");
  t.equal(await read("/workspace//./app/index.js"), "inside");
  t.equal(await read(""), "no file");
  await t.rejects(walk(workspace, at("workspace/none"), { follow: true }), { code: "not_found" });
  await t.rejects(walk(workspace, at("workspace/app/index.js/x"), { follow: true }), { code: "not_found" });
  await t.rejects(walk(workspace, at("../secret"), { follow: true }), { code: "invalid_request" });
});

t.test("walk() follows links that stay inside, relative or as the sandbox sees them", async (t) => {
  const { read, inRoot, root } = open(t);
  symlinkSync("workspace/app", inRoot("relative"));
  symlinkSync("/home/sandbox/workspace/../workspace/app", inRoot("absolute"));
  symlinkSync(join(root, "workspace/app/index.js"), inRoot("workspace/file"));
  symlinkSync("../relative/index.js", inRoot("workspace/twice"));
  for (const path of ["relative/index.js", "absolute/index.js", "workspace/file", "workspace/twice"]) {
    t.equal(await read(path), "inside", path);
  }
  t.equal(await read("workspace/twice", false), "a link");
});

t.test("walk() follows no link that leads outside, and none for ever", async (t) => {
  const { read, inRoot, directory } = open(t);
  const targets = [
    "/etc/passwd",
    "../secret",
    "workspace/../../secret",
    "/home/sandbox/../x",
    "/home/sandboxes",
    "/",
    "//",
  ];
  for (const [index, target] of [...targets, `${directory}/secret`, "/proc/self/root/etc/passwd"].entries()) {
    symlinkSync(target, inRoot(`link${index}`));
    await t.rejects(read(`link${index}`), { code: "invalid_request" }, target);
    await t.rejects(read(`link${index}/x`), { code: "invalid_request" }, target);
  }
  symlinkSync("loop", inRoot("loop"));
  symlinkSync("b/x", inRoot("a"));
  symlinkSync("a/x", inRoot("b"));
  for (const path of ["loop", "a", "loop/x"]) await t.rejects(read(path), { code: "invalid_request" }, path);
  symlinkSync("dangling", inRoot("nowhere"));
  await t.rejects(read("nowhere"), { code: "not_found" });
});

t.test("walk() waits for no pipe, and opens no device or socket", async (t) => {
  const { read, inRoot } = open(t);
  execFileSync("mkfifo", [inRoot("pipe")]);
  t.equal(await read("pipe"), "no file");
  if (process.getuid?.() === 0) {
    execFileSync("mknod", [inRoot("zero"), "c", "1", "5"]);
    t.equal(await read("zero"), "no file");
  }
});

t.test("walkToParent() makes directories for the owner of the workspace, through links that stay inside", async (t) => {
  const { workspace, at, inRoot, root } = open(t);
  if (process.getuid?.() === 0) chownSync(root, 1234, 1234);
  symlinkSync("workspace/app", inRoot("app"));
  {
    const { directory, name } = await walkToParent(workspace, at("app/a/b/file"), { create: true });
    await using _ = directory;
    t.equal(name.toString(), "file");
  }
  t.equal(statSync(inRoot("workspace/app/a/b")).uid, statSync(root).uid);
  symlinkSync("/tmp", inRoot("out"));
  await t.rejects(walkToParent(workspace, at("out/a/file"), { create: true }), { code: "invalid_request" });
  symlinkSync("not-yet", inRoot("dangling"));
  {
    const { directory } = await walkToParent(workspace, at("dangling/file"), { create: true });
    await using _ = directory;
  }
  t.ok(statSync(inRoot("not-yet")).isDirectory());
  await t.rejects(walkToParent(workspace, at("workspace/app/index.js/x"), { create: true }), { code: "not_found" });
  await t.rejects(walkToParent(workspace, [], { create: true }), { code: "invalid_request" });
});

t.test("no walk leaves a descriptor behind", { skip: process.platform !== "linux" && "no /proc" }, async (t) => {
  const { read, inRoot, workspace, at } = open(t);
  symlinkSync("/etc", inRoot("out"));
  const held = () => readdirSync("/proc/self/fd").filter((fd) => targetOf(fd).includes("workspace-of-one")).length;
  for (const path of ["workspace/app/index.js", "workspace/app/none/x", "out/x", "workspace/app/index.js/x"]) {
    await read(path).catch(() => {});
    await walkToParent(workspace, at(path))
      .then(({ directory }) => directory[Symbol.asyncDispose]())
      .catch(() => {});
  }
  t.equal(held(), 0);
});

function targetOf(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return "";
  }
}
