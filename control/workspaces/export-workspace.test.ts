import { execFileSync } from "node:child_process";
import { randomFillSync } from "node:crypto";
import { once } from "node:events";
import {
  createWriteStream,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createZstdDecompress } from "node:zlib";
import t, { type Test } from "tap";
import { missingPart } from "../../e2e/parts/parts.ts";
import { type ArchiveFormat, exportWorkspace } from "./export-workspace.ts";
import { split } from "./walk.ts";
import { Workspace } from "./workspace.ts";

function open(t: Test) {
  const directory = mkdtempSync(join(tmpdir(), "export-"));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const [root, out] = [join(directory, "root"), join(directory, "out")];
  const app = join(root, "workspace", "app");
  mkdirSync(app, { recursive: true });
  mkdirSync(out);
  const start = (format: ArchiveFormat, whole = false, path = "workspace/app") =>
    exportWorkspace(new Workspace(root), split(Buffer.from(path)), { format, whole });
  /** Unpacks it with the system's own programs. */
  const unpack = async (format: ArchiveFormat, archive: NodeJS.ReadableStream) => {
    const file = join(directory, `archive.${format}`);
    if (format === "zip") {
      await pipeline(archive, createWriteStream(file));
      execFileSync("python3", ["-c", unzip, file, out]);
    } else {
      await pipeline(archive, createZstdDecompress(), createWriteStream(file));
      execFileSync("tar", ["-xf", file, "-C", out]);
    }
    return out;
  };
  return { directory, root, app, start, unpack };
}

/** Zip archives are unpacked by a program that is not ours. */
const skip = missingPart("python");

/** Checks every sum, makes links of links, and keeps modes. */
const unzip = `
import os, stat, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as z:
    assert z.testzip() is None
    for i in z.infolist():
        mode = i.external_attr >> 16
        at = os.path.join(sys.argv[2], i.filename)
        if stat.S_ISLNK(mode): os.symlink(z.read(i), at)
        else:
            z.extract(i, sys.argv[2])
            os.chmod(at, stat.S_IMODE(mode))
`;

const formats = ["zip", "tar.zst"] as const;

for (const format of formats) {
  t.test(`exportWorkspace() packs ${format}: files, modes, empty directories, links as links`, { skip }, async (t) => {
    const { app, start, unpack } = open(t);
    const deep = join(app, ...Array.from({ length: 30 }, () => "a-directory-with-a-long-name"));
    mkdirSync(deep, { recursive: true });
    writeFileSync(join(deep, "ünïcode 名前.txt"), "deep");
    writeFileSync(join(app, "run.sh"), "#!/bin/sh\n", { mode: 0o751 });
    writeFileSync(join(app, "bytes"), Buffer.from([0, 255, 13, 10]));
    writeFileSync(join(app, "c:\\..\\..\\evil"), "harmless");
    mkdirSync(join(app, "empty"));
    mkdirSync(join(app, "node_modules"));
    symlinkSync("/etc/passwd", join(app, "link"));
    symlinkSync("loop", join(app, "loop"));
    execFileSync("mkfifo", [join(app, "pipe")]);
    const out = await unpack(format, await start(format));
    t.equal(
      readFileSync(
        join(out, ...Array.from({ length: 30 }, () => "a-directory-with-a-long-name"), "ünïcode 名前.txt"),
        "utf8",
      ),
      "deep",
    );
    t.equal(statSync(join(out, "run.sh")).mode & 0o777, 0o751);
    t.same(readFileSync(join(out, "bytes")), Buffer.from([0, 255, 13, 10]));
    t.same([readlinkSync(join(out, "link")), readlinkSync(join(out, "loop"))], ["/etc/passwd", "loop"]);
    const names = readdirSync(out);
    t.ok(names.includes("empty"));
    t.notOk(names.includes("pipe") || names.includes("node_modules"));
    t.equal(names.length, 7);
  });

  t.test(`exportWorkspace() packs ${format} with what was installed, from the root`, { skip }, async (t) => {
    const { app, root, start, unpack } = open(t);
    mkdirSync(join(app, "node_modules/x"), { recursive: true });
    writeFileSync(join(app, "node_modules/x/index.js"), "x");
    writeFileSync(join(root, ".profile"), "y");
    const out = await unpack(format, await start(format, true, ""));
    t.equal(readFileSync(join(out, "workspace/app/node_modules/x/index.js"), "utf8"), "x");
    t.equal(readFileSync(join(out, ".profile"), "utf8"), "y");
  });

  t.test(
    `exportWorkspace() keeps ${format} whole though files grow, shrink and vanish under it`,
    { skip },
    async (t) => {
      const { app, start, unpack } = open(t);
      const half = 20 * 2 ** 20;
      for (let n = 0; n < 6; n++) writeFileSync(join(app, `f${n}`), Buffer.alloc(half, n));
      const archive = await start(format);
      await once(archive, "readable");
      for (const [index, name] of readdirSync(app).entries()) {
        if (index % 3 === 0) truncateSync(join(app, name), 1000);
        else if (index % 3 === 1) rmSync(join(app, name));
        else writeFileSync(join(app, name), Buffer.alloc(2 * half, 9));
      }
      const out = await unpack(format, archive);
      t.ok(readdirSync(out).length >= 2);
    },
  );

  t.test(`exportWorkspace() of ${format} ends with its reader, and holds nothing then`, { skip }, async (t) => {
    const { app, start, root } = open(t);
    for (let n = 0; n < 20; n++) writeFileSync(join(app, `f${n}`), Buffer.alloc(5 * 2 ** 20, n));
    const archive = await start(format);
    await once(archive, "readable");
    archive.destroy();
    await once(archive, "close");
    for (const deadline = Date.now() + 10_000; held(root).length > 0 && Date.now() < deadline; ) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    t.same(held(root), []);
  });

  t.test(
    `exportWorkspace() of ${format} takes little memory for many megabytes, however slowly they are read`,
    async (t) => {
      const { app, root } = open(t);
      // What does not become smaller, so that a slow reader holds up all of it.
      const noise = Buffer.alloc(64 * 2 ** 20);
      for (let n = 0; n < 6; n++) writeFileSync(join(app, `f${n}`), randomFillSync(noise));
      for (let n = 0; n < 3000; n++) mkdirSync(join(app, `d${n}`));
      const program = new URL("fixtures/measure-export.ts", import.meta.url);
      const said = execFileSync(process.execPath, ["--expose-gc", program.pathname, root, format], {
        encoding: "utf8",
      });
      const { growth, bytes } = JSON.parse(said) as { growth: number; bytes: number };
      t.comment(
        `${format}: ${bytes} bytes out of 384 MiB, resident set grew by ${(growth / 2 ** 20).toFixed(0)} MiB at most`,
      );
      t.ok(growth < 128 * 2 ** 20, `${growth}`);
      t.ok(bytes > 384 * 2 ** 20);
    },
  );
}

function held(root: string): string[] {
  return readdirSync("/proc/self/fd")
    .map(targetOf)
    .filter((target) => target.startsWith(root));
}

function targetOf(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return "";
  }
}
