import t from "tap";
import { mountOf, parseMounts, readMounts } from "./mounts.ts";

const text = `22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
108 22 7:0 / /data/a\\040b rw,nosuid - ext4 /dev/loop0 rw,discard
109 22 8:1 / /data rw master:3 - xfs /dev/sda1 rw,prjquota
`;

t.test("parseMounts() reads paths, types and options", async (t) => {
  t.match(parseMounts(text), [
    { path: "/", type: "ext4", source: "/dev/vda", shared: true },
    { path: "/data/a b", source: "/dev/loop0", options: ["rw", "nosuid", "rw", "discard"], shared: false },
    { path: "/data", type: "xfs", options: ["rw", "rw", "prjquota"], shared: false },
  ]);
});

t.test("mountOf() finds what a path is on", async (t) => {
  const on = (path: string) => mountOf(parseMounts(text), path)?.path;
  t.equal(on("/data/x/y"), "/data");
  t.equal(on("/data"), "/data");
  t.equal(on("/data/a b/c"), "/data/a b");
  t.equal(on("/database"), "/");
  t.ok(mountOf(await readMounts(), process.cwd()), "and on this machine");
});
