import { execFileSync } from "node:child_process";
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { gzipSync, zstdCompressSync } from "node:zlib";
import t, { type Test } from "tap";
import { type Header, pack } from "tar-stream";
import { ZipFile } from "yazl";
import { missingPart } from "../../e2e/parts/parts.ts";
import { importArchive } from "./import-archive.ts";
import { split } from "./walk.ts";
import { Workspace } from "./workspace.ts";

function open(t: Test) {
  const directory = mkdtempSync(join(tmpdir(), "import-"));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const [root, spool] = [join(directory, "root"), join(directory, "spool")];
  const app = join(root, "workspace", "app");
  mkdirSync(app, { recursive: true });
  if (process.getuid?.() === 0) chownSync(root, 1234, 1234);
  const unpack = (bytes: Buffer | AsyncIterable<Buffer>) =>
    importArchive(new Workspace(root), split(Buffer.from("workspace/app")), toSource(bytes), { spool });
  const isClean = () => [app, root].every((at) => !readdirSync(at).some((name) => name.startsWith(".sandboxd-")));
  return { directory, root, app, spool, unpack, isClean };
}

/** In pieces of a size that fits nothing. */
async function* toSource(bytes: Buffer | AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  if (!Buffer.isBuffer(bytes)) return yield* bytes;
  for (let at = 0; at < bytes.length; at += 1000) yield bytes.subarray(at, at + 1000);
}

type Packed = Partial<Header> & { readonly name: string } & { readonly content?: string | Buffer };

async function tar(...entries: Packed[]): Promise<Buffer> {
  const made = pack();
  for (const { content = "", ...header } of entries) made.entry(header, content);
  made.finalize();
  return Buffer.concat(await Readable.from(made as unknown as AsyncIterable<Buffer>).toArray());
}

async function zip(...entries: { name: string; content: string; mode?: number }[]): Promise<Buffer> {
  const made = new ZipFile();
  for (const { name, content, mode = 0o100644 } of entries) made.addBuffer(Buffer.from(content), name, { mode });
  made.end();
  return Buffer.concat(await (made.outputStream as Readable).toArray());
}

const tree: Packed[] = [
  { name: "src/", type: "directory" },
  { name: "./src/index.js", mode: 0o4755, mtime: new Date(1e12), content: "hello" },
  { name: "src/again.js", type: "link", linkname: "src/index.js" },
  { name: "src/link", type: "symlink", linkname: "../../other/x" },
  { name: "src/home", type: "symlink", linkname: "/home/sandbox/.profile" },
  { name: "made/on/the/way/ünïcode 名前", content: "deep" },
];

for (const [format, encode] of [
  ["tar", (bytes: Buffer) => bytes],
  ["tar.gz", gzipSync],
  ["tar.zst", zstdCompressSync],
] as const) {
  t.test(`importArchive() unpacks ${format}`, async (t) => {
    const { app, unpack, isClean, root } = open(t);
    t.same(await unpack(encode(await tar(...tree))), { entries: 6, bytes: 9 });
    const index = statSync(join(app, "src/index.js"));
    t.match(index, { mode: 0o100755, mtimeMs: 1e12, uid: statSync(root).uid, nlink: 2 });
    t.equal(readFileSync(join(app, "src/again.js"), "utf8"), "hello");
    t.equal(readlinkSync(join(app, "src/link")), "../../other/x");
    t.equal(readFileSync(join(app, "made/on/the/way/ünïcode 名前"), "utf8"), "deep");
    t.equal(statSync(join(app, "made/on")).uid, statSync(root).uid);
    t.ok(isClean());
  });
}

t.test("importArchive() unpacks zip, as another program makes it", { skip: missingPart("python") }, async (t) => {
  const { directory, app, unpack, spool } = open(t);
  const source = join(directory, "source");
  mkdirSync(join(source, "empty"), { recursive: true });
  writeFileSync(join(source, "run.sh"), "x".repeat(100_000), { mode: 0o751 });
  symlinkSync("run.sh", join(source, "link"));
  const made =
    "import os, stat, sys, zipfile\nz = zipfile.ZipFile(sys.argv[1], 'w', zipfile.ZIP_DEFLATED)\nos.chdir(sys.argv[2])\nz.write('empty'); z.write('run.sh')\ni = zipfile.ZipInfo('link'); i.external_attr = 0o120777 << 16; z.writestr(i, 'run.sh'); z.close()";
  execFileSync("python3", ["-c", made, join(directory, "a.zip"), source]);
  await unpack(readFileSync(join(directory, "a.zip")));
  t.equal(statSync(join(app, "run.sh")).mode & 0o777, 0o751);
  t.equal(readFileSync(join(app, "link"), "utf8").length, 100_000);
  t.ok(statSync(join(app, "empty")).isDirectory());
  t.same(readdirSync(spool), []);
});

t.test("importArchive() puts nothing outside, by names or links", async (t) => {
  const { directory, root, app, unpack, isClean } = open(t);
  const evil: Packed[][] = [
    [{ name: "../evil", content: "x" }],
    [{ name: "a/../../evil", content: "x" }],
    [{ name: "/evil", content: "x" }],
    [{ name: "link", type: "symlink", linkname: "../../../evil" }],
    [{ name: "link", type: "symlink", linkname: "/etc/passwd" }],
    [{ name: "link", type: "symlink", linkname: "/home/sandbox/../evil" }],
    [{ name: "hard", type: "link", linkname: "../evil" }],
    [{ name: "hard", type: "link", linkname: "/etc/passwd" }],
    [{ name: "device", type: "character-device", devmajor: 1, devminor: 5 }],
    [{ name: "device", type: "block-device", devmajor: 8, devminor: 0 }],
    [{ name: "pipe", type: "fifo" }],
  ];
  for (const entries of evil) {
    await t.rejects(unpack(await tar(...entries)), { code: "invalid_request" }, JSON.stringify(entries));
  }
  t.same(readdirSync(directory).sort(), ["root"]);
  t.same(readdirSync(app), []);
  symlinkSync("/tmp", join(app, "out"));
  writeFileSync(join(directory, "victim"), "kept");
  symlinkSync(join(directory, "victim"), join(app, "file"));
  await t.rejects(unpack(await tar({ name: "out/evil", content: "x" })), { code: "invalid_request" });
  t.notOk(existsSync("/tmp/evil"));
  await t.rejects(unpack(await tar({ name: "hard", type: "link", linkname: "file" })), { code: "invalid_request" });
  await unpack(await tar({ name: "file", content: "instead of the link" }));
  t.equal(readFileSync(join(directory, "victim"), "utf8"), "kept");
  t.equal(readFileSync(join(app, "file"), "utf8"), "instead of the link");
  for (const name of ["../evil", "/evil", "..\\evil"]) {
    const bytes = await zip({ name: name.replace(/[./\\]/g, "x"), content: "x" });
    const slipped = Buffer.from(bytes.toString("latin1").replaceAll(name.replace(/[./\\]/g, "x"), name), "latin1");
    await t.rejects(unpack(slipped), { code: "invalid_request" }, name);
  }
  await t.rejects(unpack(await zip({ name: "link", content: "/etc/passwd", mode: 0o120777 })), {
    code: "invalid_request",
  });
  await t.rejects(unpack(await zip({ name: "pipe", content: "", mode: 0o010644 })), { code: "invalid_request" });
  t.same(readdirSync(root), ["workspace"]);
  t.ok(isClean());
});

t.test("importArchive() says what cannot be read or does not fit, and leaves nothing half written", async (t) => {
  const { app, unpack, isClean } = open(t);
  const whole = await tar({ name: "first", content: "1" }, { name: "second", content: "x".repeat(50_000) });
  const cut = whole.subarray(0, 20_000);
  for (const bytes of [
    Buffer.alloc(0),
    Buffer.from("no archive at all".repeat(100)),
    cut,
    gzipSync(whole).subarray(0, 100),
  ]) {
    await t.rejects(unpack(bytes), { code: "invalid_request" });
  }
  const zipped = await zip({ name: "a", content: "x".repeat(10_000) });
  await t.rejects(unpack(zipped.subarray(0, 100)), { code: "invalid_request" });
  t.same(readdirSync(app), ["first"]);
  t.ok(isClean());
  mkdirSync(join(app, "taken"));
  await t.rejects(unpack(await tar({ name: "taken", content: "x" })), { code: "conflict" });
  await t.rejects(unpack(await tar({ name: "first/x", content: "x" })), { code: "not_found" });
  async function* broken() {
    yield whole.subarray(0, 10_000);
    throw new Error("the caller left");
  }
  await t.rejects(unpack(broken()), { code: "invalid_request" });
  t.ok(isClean());
});
