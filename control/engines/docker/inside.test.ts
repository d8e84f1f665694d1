/** Files of a sandbox as control sees them and as its container does. */
import { join } from "node:path";
import t from "tap";
import { missingPart } from "../../../e2e/parts/parts.ts";
import { exportWorkspace } from "../../workspaces/export-workspace.ts";
import { importArchive } from "../../workspaces/import-archive.ts";
import { listFiles } from "../../workspaces/list-files.ts";
import { makeDirectory } from "../../workspaces/move-file.ts";
import { openFile } from "../../workspaces/read-file.ts";
import { removeFiles } from "../../workspaces/remove-files.ts";
import { split } from "../../workspaces/walk.ts";
import { Workspace } from "../../workspaces/workspace.ts";
import { writeFile } from "../../workspaces/write-file.ts";
import { setUp } from "../engine-under-test.ts";
import { openDockerEngine } from "./docker-engine.ts";
import { dockerTest } from "./docker-test.ts";

const at = (path: string) => split(Buffer.from(`workspace/app/${path}`));
const options = { conditions: {}, alone: <T>(change: () => Promise<T>) => change() };

t.test("files that control puts into a container's workspace", { skip: missingPart("images") }, async (t) => {
  const config = await dockerTest(t);
  const it = await setUp(t, {
    makeEngine: async (t, dataDir) => {
      const engine = await openDockerEngine({ ...config, dataDir, hostDataDir: dataDir });
      t.teardown(() => engine.close());
      return engine;
    },
    ...{ node: "node", home: () => "/home/sandbox", host: "0.0.0.0", absentCommand: "exit 127", noticeMs: 5_000 },
  });
  const spec = it.spec("setInterval(() => {}, 1000)");
  await it.start(spec);
  const workspace = new Workspace(join(it.dataDir, "workspaces", spec.id));
  const run = async (script: string) => {
    const command = { cmd: ["sh", "-c", script], cwd: "workspace/app", env: {}, stdin: "" };
    let said = "";
    for await (const event of await it.engine.exec(spec.id, command, { signal: new AbortController().signal })) {
      if (event.type === "output") said += event.bytes;
    }
    return said;
  };

  t.test("are the sandbox's own, to change and to remove", async (t) => {
    await writeFile(workspace, at("a/b/file"), bytes("hello"), options);
    await makeDirectory(workspace, at("made"));
    const said = await run(
      "stat -c '%u %g %a %n' a a/b a/b/file made; echo more >> a/b/file && cat a/b/file; rmdir made",
    );
    t.equal(said, "1000 1000 755 a\n1000 1000 755 a/b\n1000 1000 644 a/b/file\n1000 1000 755 made\nhellomore\n");
  });

  t.test("are found, and nothing else, whatever the sandbox links them to", async (t) => {
    await run(
      "ln -s /etc/shadow out; ln -s /home/sandbox/workspace/app/a inside; ln -s / root; mkfifo pipe; ln -s loop loop",
    );
    for (const path of ["out", "root/etc/passwd", "loop", "pipe"]) {
      await t.rejects(openFile(workspace, at(path)), { code: "invalid_request" }, path);
    }
    await using file = await openFile(workspace, at("inside/b/file"));
    t.equal(String(Buffer.concat(await file.stream(0, file.size).toArray())), "hellomore\n");
    const { entries } = await listFiles(workspace, at(""), { recursive: true });
    t.notOk(entries.some(({ path }) => path.includes("root/")));
  });

  t.test("come out as an archive and go into another directory, and can be removed", async (t) => {
    const archive = await exportWorkspace(workspace, at("a"), { format: "tar.zst", whole: true });
    await importArchive(workspace, at("copy"), archive, { spool: join(it.dataDir, "spool") });
    t.equal(await run("stat -c %u copy/b/file; cat copy/b/file"), "1000\nhellomore\n");
    await removeFiles(workspace, at("copy"), { recursive: true });
    t.notMatch(await run("ls"), "copy");
  });
});

async function* bytes(text: string): AsyncGenerator<Buffer> {
  yield Buffer.from(text);
}
