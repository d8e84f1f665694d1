import { deepEqual, equal, match, ok, rejects, throws } from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import {
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { release } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import type { Logger } from "pino";
import { type DiskQuota, DiskQuotaError, type DiskUse } from "../disk-quota.ts";
import { type DiskQuotaChoice, openDiskQuota } from "../open-disk-quota.ts";

/** What xfs-vm.sh runs in its machine: `xfs-vm.ts <empty disk> <where to mount it>`. A line for each claim that holds. */
const [device = "", dataDir = ""] = process.argv.slice(2);
const mib = 2 ** 20;
const owner = 1000;
const workspaces = join(dataDir, "workspaces");
const place = join(workspaces, "one");
const run = (program: string, ...args: string[]) => execFileSync(program, args, { encoding: "utf8" });
const open = (choice: DiskQuotaChoice, directory = dataDir) =>
  openDiskQuota({ choice, dataDir: directory, owner, path: process.env.PATH!, logger: {} as Logger });

async function claim(text: string, prove: () => Promise<void> | void): Promise<void> {
  try {
    await prove();
    console.log(`ok: ${text}`);
  } catch (error) {
    console.log(`not ok: ${text}\n`, error);
    process.exit(1);
  }
}

/** As the sandbox's user. Resolves with what was said of a failure. */
function asSandbox(program: string, ...args: string[]): string {
  return spawnSync(program, args, { uid: owner, gid: owner, cwd: place, encoding: "utf8" }).stderr;
}

const fill = (file: string) => asSandbox("dd", "if=/dev/zero", `of=${join(place, file)}`, "bs=64k", "count=4000");

async function seed(quota: DiskQuota, name: string): Promise<string> {
  const directory = join(workspaces, name);
  await quota.prepare(directory);
  writeFileSync(join(directory, "file"), "hello");
  symlinkSync("file", join(directory, "link"));
  run("chown", "-hR", `${owner}:${owner}`, directory);
  return directory;
}

function isAbout(use: DiskUse | null, bytes: number): void {
  ok(use !== null && use.used > bytes - mib && use.used <= bytes, `${use?.used} of about ${bytes} bytes`);
}

/** XFS frees inodes after they are gone. */
async function hasNothing(quota: DiskQuota, id: string): Promise<void> {
  for (let tries = 0; tries < 50 && (await quota.use(id)) !== null; tries++) await setTimeout(100);
  equal(await quota.use(id), null);
}

const projectOfFile = (path: string) => run("xfs_io", "-r", "-c", "stat", path).match(/projid = (\d+)/)?.[1];
const tooLong = /No space left on device/;

console.log(`kernel ${release()}, ${run("xfs_quota", "-V").trim()}`);
run("mkfs.xfs", "-q", device);
run("mount", device, dataDir);
await claim("without prjquota xfs is refused, and auto has no limits", async () => {
  await rejects(open("xfs"), /mounted without prjquota/);
  equal((await open("auto")).driver, "none");
});
run("umount", dataDir);
run("mount", "-o", "prjquota", device, dataDir);

let quota = await open("auto");
await claim("auto and xfs take it, and leave nothing of the trial", async () => {
  equal(quota.driver, "xfs");
  quota = await open("xfs");
  deepEqual(readdirSync(dataDir), ["workspaces"]);
});
await claim("a directory that xfs_quota cannot take is refused", async () => {
  await rejects(open("xfs", join(dataDir, "a space")), DiskQuotaError);
  rmSync(join(dataDir, "a space"), { recursive: true });
});
await claim("what does not fit is not placed", async () => {
  const large = await seed(quota, ".large");
  run("dd", "if=/dev/zero", `of=${large}/big`, "bs=64k", "count=64", "status=none");
  await rejects(quota.place("large", large, mib), DiskQuotaError);
  rmSync(large, { recursive: true });
});
await claim("without a limit the use is counted", async () => {
  await quota.place("free", await seed(quota, ".free"), null);
  equal((await quota.use("free"))?.limit, null);
});
await claim("a workspace is placed whole, and takes so much and no more (ENOSPC)", async () => {
  await quota.place("one", await seed(quota, ".seed"), 20 * mib);
  equal(readFileSync(join(place, "file"), "utf8"), "hello");
  match(fill("big"), tooLong);
  equal((await quota.use("one"))?.limit, 20 * mib);
  isAbout(await quota.use("one"), 20 * mib);
});
await claim("the system tells the app of its limit", () => {
  const { bsize, blocks } = statfsSync(place);
  equal(bsize * blocks, 20 * mib);
});
await claim("the disk is not full for others", () => writeFileSync(join(workspaces, "free", "more"), "x".repeat(mib)));
await claim("links and files from before can be renamed and linked to", () => {
  equal(asSandbox("node", "-e", 'for (const f of ["file", "link"]) fs.renameSync(f, f + 2)'), "");
  equal(asSandbox("ln", "file2", "file3"), "");
});
await claim("it grows while it is in use", async () => {
  equal(await quota.limit("one", 60 * mib, "running"), true);
  match(fill("more"), tooLong);
  isAbout(await quota.use("one"), 60 * mib);
});
await claim("below its use nothing more can be written, and nothing is lost", async () => {
  equal(await quota.limit("one", 30 * mib, "running"), true);
  match(asSandbox("dd", "if=/dev/zero", "of=third", "bs=64k", "count=1"), tooLong);
  isAbout(await quota.use("one"), 60 * mib);
});
await claim("another mount and another start find it again", async () => {
  run("umount", dataDir);
  run("mount", "-o", "prjquota", device, dataDir);
  quota = await open("xfs");
  await quota.attach("one");
  equal((await quota.use("one"))?.limit, 30 * mib);
  isAbout(await quota.use("one"), 60 * mib);
});
await claim("what is removed can be taken again", async () => {
  rmSync(join(place, "more"));
  for (let tries = 0; tries < 50 && (await quota.use("one"))!.used > 25 * mib; tries++) await setTimeout(100);
  isAbout(await quota.use("one"), 20 * mib);
});
await claim("the number of files is limited", async () => {
  rmSync(join(place, "big"));
  equal(await quota.limit("one", 8 * mib, "running"), true);
  match(asSandbox("node", "-e", "for (let i = 0; i < 2000; i++) fs.writeFileSync('f' + i, '')"), /ENOSPC/);
  const files = readdirSync(place).length;
  ok(files > 1000 && files <= 1024, `${files} files`);
  run("sh", "-c", `rm ${place}/f?*[0-9]`);
});
await claim("files of another project or of none come in only as copies (EXDEV)", () => {
  writeFileSync(join(dataDir, "other"), "");
  for (const from of [join(dataDir, "other"), join(workspaces, "free", "file")]) {
    throws(() => renameSync(from, join(place, "in")), { code: "EXDEV" });
    throws(() => linkSync(from, join(place, "in")), { code: "EXDEV" });
  }
});
await claim("a limit is taken away while it is in use", async () => {
  equal(await quota.limit("one", null, "running"), true);
  equal((await quota.use("one"))?.limit, null);
  equal(fill("big").includes("No space"), false);
});
await claim("a sandbox can take a file out of the project, until a limit is set at rest", async () => {
  const inside = projectOfFile(place);
  equal(asSandbox("xfs_io", "-c", "chproj 0", "big"), "");
  equal(projectOfFile(join(place, "big")), "0");
  equal(await quota.limit("one", 20 * mib, "at rest"), true);
  equal(projectOfFile(join(place, "big")), inside);
  match(fill("small"), tooLong);
});
await claim("one that is replaced is without a limit, and gets it back at rest", async () => {
  const fresh = await seed(quota, ".fresh");
  await quota.replace("one", async () => {
    rmSync(place, { recursive: true });
    renameSync(fresh, place);
  });
  await hasNothing(quota, "one");
  equal(await quota.limit("one", 20 * mib, "running"), false);
  equal(await quota.limit("one", 20 * mib, "at rest"), true);
  match(fill("big"), tooLong);
  isAbout(await quota.use("one"), 20 * mib);
  equal(asSandbox("node", "-e", 'fs.renameSync("link", "link2")'), "");
});
await claim("one whose replacing fails keeps its limit", async () => {
  await rejects(quota.replace("one", () => Promise.reject(new Error("no"))));
  equal((await quota.use("one"))?.limit, 20 * mib);
});
await claim("what is removed leaves no project behind", async () => {
  await quota.remove("one");
  await hasNothing(quota, "one");
  mkdirSync(place);
  equal(await quota.use("one"), null);
});
