/** Disks as sandboxes see them: real file systems, in real containers. */
import { existsSync, readdirSync, statfsSync } from "node:fs";
import { join } from "node:path";
import t, { type Test } from "tap";
import { missingPart } from "../../../e2e/parts/parts.ts";
import type { DiskDriver } from "../../disks/disk-quota.ts";
import { openBtrfs, tool } from "../../disks/testing/btrfs.ts";
import { texts, until } from "../engine-under-test.ts";
import { attack, openArena } from "./attack.ts";
import { openDockerEngine } from "./docker-engine.ts";
import { dockerTest } from "./docker-test.ts";
import { Sibling } from "./sibling.ts";

const mib = 2 ** 20;

/** Fills its disk, by one file or by many. Node has a name for one of the refusals alone. */
const bomb = (act: string) => `
  const fs = require("node:fs");
  const block = Buffer.alloc(1 << 16, 1);
  let made = 0;
  try { for (;;) { ${act}; made++; } } catch ({ code, errno }) {
    console.log(JSON.stringify(["made", made]));
    console.log(JSON.stringify(["refusal", errno === -122 ? "EDQUOT" : code]));
    console.log(JSON.stringify(["over", true]));
  }
  setInterval(() => {}, 1000);`;
const diskBomb = bomb(`fs.appendFileSync("/home/sandbox/bomb", block)`);
const inodeBomb = bomb(`fs.writeFileSync("/home/sandbox/" + made, "")`);
/** Writes as long as it can, and again and again. */
const patientWriter = `
  const fs = require("node:fs");
  const block = Buffer.alloc(1 << 16, 1);
  setInterval(() => { try { for (;;) fs.appendFileSync("/home/sandbox/bomb", block); } catch {} console.log("full"); }, 100);`;

for (const driver of ["loop", "btrfs"] as const) {
  t.test(
    `disks by ${driver}`,
    { skip: missingPart("images", "root", ...(driver === "btrfs" ? ["btrfs" as const] : [])) },
    async (t) => {
      const open = await setUp(t, driver);
      const refusal = driver === "btrfs" ? "EDQUOT" : "ENOSPC";

      t.test("a disk bomb fills its own disk, and its sibling goes on", async (t) => {
        const it = await open(t);
        const sibling = await Sibling.start(it);
        const spec = it.spec(diskBomb, { diskBytes: 48 * mib });
        const report = await sibling.servesDuring(t, attack(it, spec));
        t.equal(report.refusal, refusal);
        t.ok(Number(report.made) < (48 * mib) / 65_536, `${report.made} blocks`);
        const use = await it.engine.disk(spec.id);
        t.match(use, { driver, limitBytes: 48 * mib });
        t.ok(use.usedBytes! > 40 * mib, `${use.usedBytes} bytes in use`);
        const { bavail, bsize } = statfsSync(it.dataDir);
        t.ok(bavail * bsize > 100 * mib, "there is room for others");
        await it.engine.remove(spec.id, { workspace: true });
        t.notOk(existsSync(join(it.dataDir, "workspaces", spec.id)));
      });

      t.test("a bomb of files is bounded too, and its sibling goes on", async (t) => {
        const it = await open(t);
        const sibling = await Sibling.start(it);
        const report = await sibling.servesDuring(t, attack(it, it.spec(inodeBomb, { diskBytes: 16 * mib })));
        t.equal(report.refusal, refusal);
        t.ok(Number(report.made) < 50_000, `${report.made} files`);
      });

      t.test("a disk grows by a change, and one from before gets its limit at the next start", async (t) => {
        const it = await open(t);
        const spec = it.spec(patientWriter, { diskBytes: 16 * mib });
        await it.start(spec);
        await until("a full disk", async () => (await texts(it.engine.logs(spec.id, {}))).includes("full"));
        await it.engine.setDisk(spec.id, 64 * mib);
        const grown = { ...spec, diskBytes: 64 * mib };
        if (driver === "loop") {
          // In use it grows where the kernel allows that to whom it runs as, which not every machine does.
          await it.engine.setDesired(spec.id, "stopped", { graceSeconds: 0 });
          await it.start(grown);
        }
        await until("more", async () => ((await it.engine.disk(spec.id)).usedBytes ?? 0) > 50 * mib);
        t.equal((await it.engine.disk(spec.id)).limitBytes, 64 * mib);

        const plain = it.spec(diskBomb.replace("for (;;)", "while (made < 16)"));
        await it.start(plain);
        await until("its files", async () => existsSync(join(it.dataDir, "workspaces", plain.id, "bomb")));
        await it.engine.setDisk(plain.id, 32 * mib);
        if (driver === "loop") t.equal((await it.engine.disk(plain.id)).limitBytes, null, "not while it runs");
        await it.engine.setDesired(plain.id, "stopped", { graceSeconds: 0 });
        await it.start({ ...plain, diskBytes: 32 * mib });
        t.equal((await it.engine.disk(plain.id)).limitBytes, 32 * mib);
        t.ok(existsSync(join(it.dataDir, "workspaces", plain.id, "bomb")), "with what was in it");
      });

      t.test("a workspace is replaced with its disk, and kept without its sandbox", async (t) => {
        const it = await open(t);
        const spec = it.spec("setInterval(() => {}, 1000)", { diskBytes: 32 * mib });
        await it.start(spec);
        const place = join(it.dataDir, "workspaces", spec.id);
        await it.engine.remove(spec.id, { workspace: false });
        t.ok(existsSync(join(place, "workspace", "app")), "kept");
        await tool("mkdir", "-p", `${place}.new/workspace/app/new`);
        await tool("chown", "-R", "1000:1000", `${place}.new`);
        await it.engine.replaceWorkspace(spec.id, async () => {
          await tool("mv", place, `${place}.old`);
          await tool("mv", `${place}.new`, place);
        });
        await it.start(spec);
        t.same(readdirSync(join(place, "workspace", "app")), ["new"]);
        t.equal((await it.engine.disk(spec.id)).limitBytes, 32 * mib);
        await tool("rm", "-rf", `${place}.old`);
      });
    },
  );
}

t.test(
  "openDockerEngine() refuses disks that this machine cannot have",
  { skip: missingPart("docker", "root") },
  async (t) => {
    const dataDir = t.testdir();
    const config = await dockerTest(t);
    const open = openDockerEngine({ ...config, diskQuota: "xfs", dataDir, hostDataDir: dataDir });
    await t.rejects(open, { name: "DiskQuotaError", message: /^Cannot use SANDBOXD_DISK_QUOTA=xfs: / });
  },
);

/** Each test gets an engine over a directory that such disks can be on. */
async function setUp(t: Test, driver: DiskDriver) {
  const config = { ...(await dockerTest(t)), diskQuota: driver };
  const parent = driver === "btrfs" ? await openBtrfs(t) : undefined;
  return (t: Test) => openArena(t, config, parent);
}
