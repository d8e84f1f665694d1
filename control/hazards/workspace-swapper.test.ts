/** A sandbox that swaps directories and links under control's feet while control reads, lists, writes and removes. */
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import t, { type Test } from "tap";
import { listFiles } from "../workspaces/list-files.ts";
import { makeDirectory, moveFile } from "../workspaces/move-file.ts";
import { openFile } from "../workspaces/read-file.ts";
import { removeFiles } from "../workspaces/remove-files.ts";
import { split } from "../workspaces/walk.ts";
import { Workspace } from "../workspaces/workspace.ts";
import { writeFile } from "../workspaces/write-file.ts";

const reads = 1_500;
/** Each syncs a file to the disk. */
const changes = 150;
const at = (path: string) => split(Buffer.from(path));
const alone = <T>(change: () => Promise<T>) => change();

function setUp(t: Test) {
  const directory = mkdtempSync(join(tmpdir(), "swapper-"));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const [root, outside] = [join(directory, "root"), join(directory, "outside")];
  mkdirSync(join(root, "real"), { recursive: true });
  mkdirSync(join(root, "spare"));
  mkdirSync(join(outside, "sub"), { recursive: true });
  for (const name of ["file", "sub/file"]) writeFileSync(join(outside, name), "outside");
  writeFileSync(join(root, "real", "file"), "inside");
  symlinkSync("../outside", join(root, "leading-out"));
  symlinkSync("loop", join(root, "loop"));
  execFileSync("mkfifo", [join(root, "pipe"), join(root, "spare", "pipe")]);
  writeFileSync(join(root, "spare", "plain"), "inside");
  symlinkSync("../../outside/file", join(root, "spare", "leading-out"));
  const running = new SharedArrayBuffer(4);
  new Int32Array(running)[0] = 1;
  const worker = new Worker(new URL("fixtures/swapper.cjs", import.meta.url), {
    workerData: { directory: root, running },
  });
  const stop = async () => {
    const done = once(worker, "message");
    Atomics.store(new Int32Array(running), 0, 0);
    return (await done)[0] as number;
  };
  const isUntouched = () =>
    readdirSync(outside).sort().join() === "file,sub" &&
    readdirSync(join(outside, "sub")).join() === "file" &&
    ["file", "sub/file"].every((name) => readFileSync(join(outside, name), "utf8") === "outside");
  return { root, workspace: new Workspace(root), stop, isUntouched };
}

t.test("a swapper leads no read out of the workspace", async (t) => {
  const { workspace, stop, isUntouched } = setUp(t);
  const seen = new Map<string, number>();
  for (let round = 0; round < reads; round++) {
    const texts = ["there/file", "spare/file", "there/file", "spare/file"].map((path) =>
      read(workspace, path).catch(() => "refused"),
    );
    for (const text of await Promise.all(texts)) seen.set(text, (seen.get(text) ?? 0) + 1);
  }
  t.ok((await stop()) > 0);
  t.same([...seen.keys()].sort(), ["inside", "refused"], JSON.stringify([...seen]));
  t.ok(isUntouched());
});

t.test("a swapper leads no list, write, move or removal out of the workspace", async (t) => {
  const { workspace, stop, isUntouched } = setUp(t);
  const done = { list: 0, write: 0, remove: 0 };
  for (let round = 0; round < changes; round++) {
    const listed = await listFiles(workspace, at("there"), { recursive: true }).catch(() => undefined);
    if (listed !== undefined) done.list++;
    if (listed?.entries.some(({ path }) => path.toString().includes("sub"))) t.fail("what is outside was listed");
    const options = { conditions: {}, alone };
    const content = async function* () {
      yield Buffer.from("inside");
    };
    await writeFile(workspace, at("there/new"), content(), options).then(
      () => done.write++,
      () => {},
    );
    await makeDirectory(workspace, at("there/made/deep")).catch(() => {});
    await moveFile(workspace, at("there/new"), at("there/moved"), { overwrite: true }).catch(() => {});
    await removeFiles(workspace, at("there/file"), { recursive: false }).catch(() => {});
    await removeFiles(workspace, at("there/made"), { recursive: true }).then(
      () => done.remove++,
      () => {},
    );
    await removeFiles(workspace, at("there/sub"), { recursive: true }).catch(() => {});
  }
  t.ok((await stop()) > 0);
  t.ok(isUntouched());
  t.ok(done.list > 0 && done.write > 0, `the race was run: ${JSON.stringify(done)}`);
});

async function read(workspace: Workspace, path: string): Promise<string> {
  const file = await openFile(workspace, at(path));
  return String(Buffer.concat(await file.stream(0, file.size).toArray()));
}
