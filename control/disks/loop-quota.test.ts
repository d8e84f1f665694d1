import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t, { type Test } from "tap";
import { missingPart } from "../../e2e/parts/parts.ts";
import { silent } from "../testing/fixture.ts";
import { LoopQuota } from "./loop-quota.ts";
import { tool } from "./testing/btrfs.ts";

const mib = 2 ** 20;
const owner = 1000;
const skip = { skip: missingPart("root") };

function setUp(t: Test) {
  const directory = mkdtempSync(join(tmpdir(), "loop-"));
  const workspaces = join(directory, "workspaces");
  const images = join(directory, "disks");
  mkdirSync(workspaces);
  // The sandbox's user writes below it.
  chmodSync(directory, 0o755);
  const open = async () => {
    const quota = new LoopQuota({ workspaces, images, owner, tool, logger: silent });
    await quota.open();
    return quota;
  };
  t.teardown(async () => {
    for (const name of readdirSync(workspaces)) await tool("umount", "-l", join(workspaces, name)).catch(() => {});
    rmSync(directory, { recursive: true, force: true });
  });
  return { directory, workspaces, images, open, place: join(workspaces, "one"), image: join(images, "one.img") };
}

/** A workspace as the engine puts it together. */
async function seed(quota: LoopQuota, directory: string): Promise<string> {
  const seedling = join(directory, "seed");
  await quota.prepare(seedling);
  writeFileSync(join(seedling, "file"), "hello");
  await tool("chown", "-R", "1000:1000", seedling);
  return seedling;
}

/** Writes as the sandbox's user until the system refuses. Answers how many bytes, and the refusal. */
function fill(file: string) {
  const program = `const fs = require("node:fs"); const fd = fs.openSync(${JSON.stringify(file)}, "a"); let all = 0;
    try { for (;;) { all += fs.writeSync(fd, Buffer.alloc(65536, 1)); } } catch ({ code }) { console.log(JSON.stringify([all, code])); }`;
  const { stdout } = spawnSync(process.execPath, ["-e", program], { uid: owner, gid: owner, encoding: "utf8" });
  return JSON.parse(stdout) as [number, string];
}

t.test("LoopQuota gives a workspace so much and no more", skip, async (t) => {
  const it = setUp(t);
  const quota = await it.open();
  await quota.place("one", await seed(quota, it.directory), 32 * mib);
  t.equal(readFileSync(join(it.place, "file"), "utf8"), "hello");
  t.same(readdirSync(it.place), ["file"]);
  t.match(statSync(it.place), { uid: owner, gid: owner });
  t.equal(statSync(it.place).mode & 0o777, 0o750);
  t.notOk(existsSync(join(it.directory, "seed")));
  const [written, refusal] = fill(join(it.place, "big"));
  t.equal(refusal, "ENOSPC");
  t.ok(written > 20 * mib && written < 32 * mib, `${written} bytes`);
  const use = await quota.use("one");
  t.equal(use?.limit, 32 * mib);
  t.ok(use!.used > 31 * mib && use!.used <= 32 * mib, `${use!.used} bytes in use`);
  const host = statfsSync(it.directory);
  t.ok(host.bavail * host.bsize > 100 * mib, "the host has room");
});

t.test("LoopQuota bounds the number of files", skip, async (t) => {
  const it = setUp(t);
  const quota = await it.open();
  await quota.place("one", await seed(quota, it.directory), 8 * mib);
  const program = `const fs = require("node:fs"); let made = 0;
    try { for (;;) fs.writeFileSync(${JSON.stringify(it.place)} + "/" + made++, ""); } catch ({ code }) { console.log(JSON.stringify([made, code])); }`;
  const { stdout } = spawnSync(process.execPath, ["-e", program], { uid: owner, gid: owner, encoding: "utf8" });
  const [made, refusal] = JSON.parse(stdout);
  t.equal(refusal, "ENOSPC");
  t.ok(made < 3_000, `${made} files`);
});

t.test("LoopQuota leaves one without a limit a plain directory, and confines it when it gets one", skip, async (t) => {
  const it = setUp(t);
  const quota = await it.open();
  await quota.place("one", await seed(quota, it.directory), null);
  t.notOk(existsSync(it.image));
  t.equal(await quota.use("one"), null);
  t.equal(await quota.limit("one", null, "running"), true);
  t.equal(await quota.limit("one", 16 * mib, "running"), false, "not while it runs");
  t.equal(await quota.limit("one", 16 * mib, "at rest"), true);
  t.equal(readFileSync(join(it.place, "file"), "utf8"), "hello");
  t.match(statSync(join(it.place, "file")), { uid: owner });
  t.equal(fill(join(it.place, "big"))[1], "ENOSPC");
  t.same(readdirSync(it.workspaces), ["one"], "nothing is left beside it");
  await t.rejects(quota.place("two", it.place, 4 * mib), { name: "DiskQuotaError" }, "too much for so little");
  t.same(readdirSync(it.images), ["one.img"]);
});

t.test("LoopQuota grows at rest, where the kernel allows it also in use, and never shrinks", skip, async (t) => {
  const it = setUp(t);
  const quota = await it.open();
  await quota.place("one", await seed(quota, it.directory), 16 * mib);
  fill(join(it.place, "big"));
  const live = await quota.limit("one", 64 * mib, "running");
  const [grown] = fill(join(it.place, "more"));
  t.equal(grown > 30 * mib, live, live ? "it grew in use" : "this kernel lets nobody here grow it in use");
  t.equal(await quota.limit("one", 64 * mib, "at rest"), true);
  t.ok(live || fill(join(it.place, "more"))[0] > 30 * mib);
  t.equal(readFileSync(join(it.place, "file"), "utf8"), "hello");
  await t.rejects(quota.limit("one", 32 * mib, "at rest"), { message: /can grow, and neither shrink nor go/ });
  await t.rejects(quota.limit("one", null, "at rest"), { name: "DiskQuotaError" });
});

t.test("LoopQuota leaves a disk alone that another mount namespace has", skip, async (t) => {
  const it = setUp(t);
  const quota = await it.open();
  await quota.place("one", await seed(quota, it.directory), 16 * mib);
  const hold = ["--mount", "--propagation", "private", "sh", "-c", "echo held; exec sleep 600"];
  const holder = spawn("unshare", hold, { stdio: ["ignore", "pipe", "inherit"] });
  t.teardown(() => holder.kill("SIGKILL"));
  await once(holder.stdout, "data");
  if (await quota.limit("one", 64 * mib, "running")) return t.pass("this kernel lets it grow in use");
  t.equal(await quota.limit("one", 64 * mib, "at rest"), false);
  t.equal(readFileSync(join(it.place, "file"), "utf8"), "hello");
  holder.kill("SIGKILL");
  await once(holder, "exit");
  t.equal(await quota.limit("one", 64 * mib, "at rest"), true);
});

t.test("LoopQuota brings back what a reboot took, and finishes what a crash cut off", skip, async (t) => {
  const it = setUp(t);
  const first = await it.open();
  await first.place("one", await seed(first, it.directory), 16 * mib);

  await tool("umount", it.place);
  t.same(readdirSync(it.place), []);
  await it.open();
  t.same(readdirSync(it.place), ["file"], "after a reboot");

  await tool("umount", it.place);
  await first.attach("one");
  t.same(readdirSync(it.place), ["file"], "and before the next start");

  await tool("umount", it.place);
  rmSync(it.place, { recursive: true });
  writeFileSync(join(it.images, ".one-half"), "");
  mkdirSync(join(it.workspaces, ".replaced-one-00000000-0000-0000-0000-000000000000"));
  await it.open();
  t.same(readdirSync(it.place), ["file"], "its copy was complete");
  t.same(readdirSync(it.workspaces), ["one"]);
  t.same(readdirSync(it.images), ["one.img"]);

  const aside = join(it.workspaces, ".replaced-two-00000000-0000-0000-0000-000000000000");
  mkdirSync(aside);
  writeFileSync(join(aside, "only"), "");
  await it.open();
  t.same(readdirSync(join(it.workspaces, "two")), ["only"], "a copy that never got there");
});

t.test("LoopQuota loses nothing that was written while a workspace was not mounted", skip, async (t) => {
  const it = setUp(t);
  const quota = await it.open();
  await quota.place("one", await seed(quota, it.directory), 16 * mib);
  await tool("umount", it.place);
  writeFileSync(join(it.place, "stray"), "");
  await quota.attach("one");
  t.same(readdirSync(it.place), ["file"]);
  const found = readdirSync(it.workspaces).find((name) => name.startsWith(".found-one-"));
  t.same(readdirSync(join(it.workspaces, found!)), ["stray"]);
});

t.test("LoopQuota removes a workspace with its disk", skip, async (t) => {
  const it = setUp(t);
  const quota = await it.open();
  await quota.place("one", await seed(quota, it.directory), 16 * mib);
  await quota.remove("one");
  t.same([readdirSync(it.workspaces), readdirSync(it.images)], [[], []]);
  t.notMatch(await tool("losetup", "-a"), it.image);
  await quota.remove("one");
});
