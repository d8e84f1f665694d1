import { lstatSync, mkdirSync, readdirSync, readlinkSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import t, { type Test } from "tap";
import { DiskQuotaError } from "./disk-quota.ts";
import { projectOf, XfsQuota } from "./xfs-quota.ts";

const mib = 2 ** 20;
const project = projectOf("ONE");

/** What xfs_quota and the others say, in the place of the real ones. */
function setUp(t: Test, { entered = false, processed = true, usedKib = 2048 } = {}) {
  const workspaces = t.testdir({});
  const seed = join(workspaces, ".seed");
  mkdirSync(seed);
  const given: string[] = [];
  const tool = async (program: string, ...args: readonly string[]) => {
    if (program === "find")
      return readdirSync(seed)
        .map((name) => `${seed}/${name}\0`)
        .join("");
    if (program === "xfs_io") return `fd.path = "x"\nfsxattr.projid = ${entered ? project : 0}\n`;
    given.push(args.slice(2).join(" "));
    if (args[2]!.startsWith("project")) return processed ? "Setting up\nProcessed 1 (…) paths\n" : "";
    return `/dev/sda1       ${usedKib}          0       4096  00 [--------]  3  0  512  00 [--------] /data\n`;
  };
  return { quota: new XfsQuota({ workspaces, mount: "/data", tool }), seed, given, place: join(workspaces, "ONE") };
}

t.test("XfsQuota gives these commands", async (t) => {
  const { quota, seed, given, place } = setUp(t, { entered: true });
  await quota.place("ONE", seed, 4 * mib);
  t.equal(await quota.limit("ONE", 8 * mib, "at rest"), true);
  t.same(await quota.use("ONE"), { used: 2 * mib, limit: 4 * mib });
  await quota.remove("ONE");
  t.same(given, [
    `project -s -p ${seed} ${project} /data`,
    `quota -p -N -b -i ${project} /data`,
    `limit -p bhard=4194304 ihard=512 ${project} /data`,
    `project -s -p ${place} ${project} /data`,
    `limit -p bhard=8388608 ihard=1024 ${project} /data`,
    `quota -p -N -b -i ${project} /data`,
    `limit -p bhard=0 ihard=0 ${project} /data`,
  ]);
});

t.test("XfsQuota walks through no workspace of a running sandbox", async (t) => {
  const inside = setUp(t, { entered: true });
  t.equal(await inside.quota.limit("ONE", 8 * mib, "running"), true);
  t.same(inside.given, [`limit -p bhard=8388608 ihard=1024 ${project} /data`]);
  const outside = setUp(t);
  t.equal(await outside.quota.limit("ONE", 8 * mib, "running"), false);
  t.same(outside.given, []);
});

t.test("XfsQuota does not believe that xfs_quota did what it says nothing of", async (t) => {
  const { quota, seed } = setUp(t, { processed: false });
  await t.rejects(quota.place("ONE", seed, 4 * mib), /^xfs_quota cannot set up /);
});

t.test("XfsQuota.place() refuses what does not fit", async (t) => {
  const { quota, seed } = setUp(t, { usedKib: 4097 });
  await t.rejects(quota.place("ONE", seed, 4 * mib), DiskQuotaError);
  t.ok(lstatSync(seed).isDirectory());
});

t.test("XfsQuota makes the symbolic links of what enters a project anew", async (t) => {
  const { quota, seed, place } = setUp(t);
  symlinkSync("nowhere", join(seed, "link"));
  const before = lstatSync(join(seed, "link"));
  await quota.place("ONE", seed, null);
  const after = lstatSync(join(place, "link"));
  t.equal(readlinkSync(join(place, "link")), "nowhere");
  t.same(readdirSync(place), ["link"]);
  t.not(after.ino, before.ino);
  t.ok(Math.abs(after.mtimeMs - before.mtimeMs) < 2);
});

t.test("XfsQuota.replace() takes the limit away when it is done, and not before", async (t) => {
  const { quota, given } = setUp(t);
  await t.rejects(
    quota.replace("ONE", () => Promise.reject(new Error("no"))),
    { message: "no" },
  );
  t.same(given, []);
  await quota.replace("ONE", async () => {});
  t.same(given, [`limit -p bhard=0 ihard=0 ${project} /data`]);
});

t.test("projectOf() is the same for an id, and another for another one", async (t) => {
  t.equal(projectOf("ONE"), projectOf("ONE"));
  t.not(projectOf("ONE"), projectOf("TWO"));
  t.ok(projectOf("ONE") > 0 && projectOf("ONE") < 2 ** 31);
});
