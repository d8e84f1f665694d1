import { mkdirSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { projectOf, XfsQuota } from "./xfs-quota.ts";

t.test("XfsQuota gives these commands", async (t) => {
  const workspaces = t.testdir({});
  const given: string[] = [];
  const tool = async (program: string, ...args: readonly string[]) => {
    given.push([program, ...args].join(" "));
    return "/dev/sda1       2048          0       4096  00 [--------]\n";
  };
  const quota = new XfsQuota({ workspaces, mount: "/data", tool });
  const project = projectOf("ONE");
  const seed = join(workspaces, ".seed");
  mkdirSync(seed);
  await quota.place("ONE", seed, 4 * 2 ** 20);
  t.equal(await quota.limit("ONE", 8 * 2 ** 20), true);
  t.same(await quota.use("ONE"), { used: 2048 * 1024, limit: 4096 * 1024 });
  await quota.remove("ONE");
  const place = join(workspaces, "ONE");
  t.same(
    given.map((command) => command.replace("xfs_quota -x -c ", "")),
    [
      `project -s -p ${seed} ${project} /data`,
      `limit -p bhard=4194304 ${project} /data`,
      `project -s -p ${place} ${project} /data`,
      `limit -p bhard=8388608 ${project} /data`,
      `quota -p -N -b ${project} /data`,
      `limit -p bhard=0 ${project} /data`,
    ],
  );
});

t.test("projectOf() is the same for an id, and another for another one", async (t) => {
  t.equal(projectOf("ONE"), projectOf("ONE"));
  t.not(projectOf("ONE"), projectOf("TWO"));
  t.ok(projectOf("ONE") > 0 && projectOf("ONE") < 2 ** 31);
});
