import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t, { type Test } from "tap";
import { missingPart } from "../../e2e/parts/parts.ts";
import { silent } from "../testing/fixture.ts";
import { BtrfsQuota } from "./btrfs-quota.ts";
import { openDiskQuota } from "./open-disk-quota.ts";
import { openBtrfs, tool } from "./testing/btrfs.ts";

const mib = 2 ** 20;
const owner = 1000;
const skip = { skip: missingPart("btrfs") };

async function setUp(t: Test) {
  const dataDir = await openBtrfs(t);
  const open = () => openDiskQuota({ choice: "btrfs", dataDir, owner, path: process.env.PATH!, logger: silent });
  const quota = await open();
  t.ok(quota instanceof BtrfsQuota);
  const workspaces = join(dataDir, "workspaces");
  const seedling = join(workspaces, ".seed");
  await quota.prepare(seedling);
  writeFileSync(join(seedling, "file"), "hello");
  await tool("chown", "-R", "1000:1000", seedling);
  return { quota, open, workspaces, seedling, place: join(workspaces, "one") };
}

/** Writes as the sandbox's user until the system refuses. Node has no name for the refusal, so dd does it. */
function fill(file: string): string {
  const run = spawnSync("dd", ["if=/dev/zero", `of=${file}`, "bs=64K", "count=4000", "conv=notrunc"], {
    ...{ uid: owner, gid: owner, encoding: "utf8" },
  });
  return run.stderr;
}

t.test("BtrfsQuota gives a workspace so much and no more, and grows it while it is in use", skip, async (t) => {
  const { quota, seedling, place } = await setUp(t);
  await quota.place("one", seedling, 20 * mib);
  t.equal(readFileSync(join(place, "file"), "utf8"), "hello");
  t.match(fill(join(place, "big")), /Disk quota exceeded/);
  const use = await quota.use("one");
  t.equal(use?.limit, 20 * mib);
  t.ok(use!.used > 15 * mib && use!.used <= 20 * mib, `${use!.used} bytes`);
  t.equal(await quota.limit("one", 60 * mib, "running"), true);
  t.match(fill(join(place, "more")), /Disk quota exceeded/);
  t.ok((await quota.use("one"))!.used > 50 * mib);
  t.equal(await quota.limit("one", null, "running"), true);
  t.equal((await quota.use("one"))?.limit, null);
  await quota.remove("one");
  t.equal(await quota.use("one"), null);
});

t.test("BtrfsQuota confines a workspace from before, at rest", skip, async (t) => {
  const { quota, workspaces, place } = await setUp(t);
  mkdirSync(place, { mode: 0o750 });
  writeFileSync(join(place, "file"), "old");
  await tool("chown", "-R", "1000:1000", place);
  t.equal(await quota.limit("one", 20 * mib, "running"), false);
  t.equal(await quota.limit("one", 20 * mib, "at rest"), true);
  t.equal(readFileSync(join(place, "file"), "utf8"), "old");
  t.match(statSync(place), { uid: owner, gid: owner });
  t.equal(statSync(place).mode & 0o777, 0o750);
  t.match(fill(join(place, "big")), /Disk quota exceeded/);
  t.same(
    readdirSync(workspaces).filter((name) => name.startsWith(".replaced")),
    [],
  );
});

t.test("BtrfsQuota puts back what a crash left beside its place", skip, async (t) => {
  const { open, workspaces, place } = await setUp(t);
  const aside = join(workspaces, ".replaced-one-00000000-0000-0000-0000-000000000000");
  mkdirSync(aside);
  writeFileSync(join(aside, "only"), "");
  await open();
  t.same(readdirSync(place), ["only"]);
});
