import { access, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t, { type Test } from "tap";
import { unpack } from "./workspaces.ts";

type Entry = {
  name: string;
  type?: "0" | "1" | "2" | "3" | "4" | "5" | "6";
  mode?: number;
  link?: string;
  content?: string;
};

/** A ustar archive (POSIX.1-1988) with entries that no well-meant tool would write. */
function tar(entries: readonly Entry[]): Buffer {
  const blocks = entries.flatMap(({ name, type = "0", mode = 0o644, link = "", content = "" }) => {
    const header = Buffer.alloc(512);
    const octal = (value: number, length: number) => `${value.toString(8).padStart(length - 1, "0")}\0`;
    header.write(name, 0);
    header.write(octal(mode, 8), 100);
    header.write(octal(0, 8), 108);
    header.write(octal(0, 8), 116);
    header.write(octal(Buffer.byteLength(content), 12), 124);
    header.write(octal(0, 12), 136);
    header.write("        ", 148);
    header.write(type, 156);
    header.write(link, 157);
    header.write("ustar\0" + "00", 257);
    header.write(
      octal(
        header.reduce((sum, byte) => sum + byte, 0),
        7,
      ),
      148,
    );
    const body = Buffer.alloc(Math.ceil(Buffer.byteLength(content) / 512) * 512);
    body.write(content);
    return [header, body];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

async function unpacked(t: Test, entries: readonly Entry[]) {
  const root = await mkdtemp(join(tmpdir(), "workspaces-"));
  t.teardown(() => rm(root, { recursive: true, force: true }));
  await writeFile(join(root, "skeleton.tar"), tar(entries));
  const directory = join(root, "workspace");
  return { root, directory, done: unpack(join(root, "skeleton.tar"), directory) };
}

t.test("unpack() copies a skeleton without its own name and set-user-id bits", async (t) => {
  const { directory, done } = await unpacked(t, [
    { name: "skel-sandbox/", type: "5", mode: 0o755 },
    { name: "skel-sandbox/bin/tool", mode: 0o4755, content: "#!/bin/sh\n" },
    { name: "skel-sandbox/link", type: "2", link: "bin/tool" },
  ]);
  await done;
  t.equal(await readFile(join(directory, "link"), "utf8"), "#!/bin/sh\n");
  const { mode, uid } = await stat(join(directory, "bin/tool"));
  t.equal(mode & 0o7777, 0o755);
  if (process.getuid?.() === 0) t.equal(uid, 1000);
});

t.test("unpack() lets no entry out of the workspace", async (t) => {
  const { root, directory, done } = await unpacked(t, [
    { name: "skel-sandbox/../../../outside", content: "x" },
    { name: "/skel-sandbox/absolute", content: "x" },
  ]);
  await done.catch(() => {});
  await t.rejects(access(join(root, "outside")), { code: "ENOENT" });
  await t.rejects(access("/skel-sandbox"), { code: "ENOENT" });
  t.ok(directory);
});

for (const link of ["/etc", "../../outside"]) {
  t.test(`unpack() refuses a link to ${link}`, async (t) => {
    const { done } = await unpacked(t, [
      { name: "skel-sandbox/way", type: "2", link },
      { name: "skel-sandbox/way/file", content: "x" },
    ]);
    await t.rejects(done);
  });
}

t.test("unpack() refuses a hard link out of the workspace", async (t) => {
  const { done } = await unpacked(t, [{ name: "skel-sandbox/shadow", type: "1", link: "../../../etc/shadow" }]);
  await t.rejects(done);
});

for (const [what, type] of [
  ["device", "3"],
  ["disk", "4"],
  ["pipe", "6"],
] as const) {
  t.test(`unpack() refuses a ${what}`, async (t) => {
    const { done } = await unpacked(t, [{ name: `skel-sandbox/${what}`, type }]);
    await t.rejects(done, /unsupported type/);
  });
}
