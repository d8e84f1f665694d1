/** A sandbox that swaps directories for links to places of the host, while snapshots and backups are made of it. */
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { openDockerNetwork } from "../../e2e/docker-network.ts";
import { missingPart } from "../../e2e/parts/parts.ts";
import { newDirectory, startControl } from "../testing/control.ts";

const marker = "of-the-host-alone";
const snapshots = 6;

/** Many names, each a directory and a link to the same place in turn; and enough files for a copy to take its time. */
const swapper = (target: string) => `
  const fs = require("node:fs");
  const names = Array.from({ length: 40 }, (_, n) => "swapped-" + n);
  for (const name of names) {
    fs.mkdirSync(name + ".dir/deep", { recursive: true });
    for (let n = 0; n < 50; n++) fs.writeFileSync(name + ".dir/deep/" + n, "of the sandbox");
    fs.symlinkSync(${JSON.stringify(target)}, name + ".link");
  }
  console.log("ready");
  const turn = () => {
    for (const name of names) for (const kind of [".dir", ".link"]) {
      fs.renameSync(name + kind, name);
      fs.renameSync(name, name + kind);
    }
    setImmediate(turn);
  };
  turn();`;

t.test("a swapping sandbox has nothing of the host copied", { skip: missingPart("images") }, async (t) => {
  await using network = await openDockerNetwork();
  const host = newDirectory(t);
  mkdirSync(join(host, "deep"));
  for (let n = 0; n < 50; n++) writeFileSync(join(host, "deep", String(n)), marker);
  const control = await startControl(t, network.variables);
  const body = { ports: [3000], cmd: ["node", "-e", swapper(host)] };
  const { id } = (await control.call("POST", "/v1/sandboxes", { body })).body;
  while (!(await control.call("GET", `/v1/sandboxes/${id}/logs`)).text.includes("ready"));
  for (let n = 0; n < snapshots; n++)
    t.match(await control.call("POST", `/v1/sandboxes/${id}/snapshots`), { status: 201 });
  t.match(await control.call("POST", "/v1/backups", { body: { workspaces: true } }), {
    body: { workspaces: 1, failed_workspaces: [] },
  });
  t.equal(readdirSync(join(control.directory, "snapshots")).length, snapshots);
  for (const copies of ["snapshots", "backups"]) {
    // What it finds it names, and ends with 1 when that is nothing.
    const { status } = spawnSync("grep", ["-rlF", "--", marker, join(control.directory, copies)]);
    t.equal(status, 1, copies);
  }
  t.equal(readdirSync(join(host, "deep")).length, 50);
  await control.call("POST", `/sandbox/${id}/purge`);
});
