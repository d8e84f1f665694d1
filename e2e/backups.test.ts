/** The guide's commands, run as they stand: a backup of one machine serves its sandboxes on an empty one. */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import t, { type Test } from "tap";
import { request } from "undici";
import type { SandboxId } from "#contract/sandbox-id.ts";
import { openDockerNetwork } from "./docker-network.ts";
import { openPair, type Pair } from "./pair.ts";
import { missingPart } from "./parts/parts.ts";

t.setTimeout(300_000);

const root = join(import.meta.dirname, "..");
const guide = readFileSync(join(root, "docs", "backups.md"), "utf8");
const [backUp = "", takeAway = "", onEmptyMachine = "", inPlace = ""] = Array.from(
  guide.matchAll(/^```sh\n([\s\S]*?)^```$/gm),
  ([, code]) => code!,
);
const app = readFileSync(join(import.meta.dirname, "apps", "notes.js"), "utf8");
const inContainer = "docker compose run --rm --no-deps control ";
const forms = [
  { engine: "process", skip: false },
  { engine: "docker", skip: missingPart("images") },
] as const;

type Machine = { readonly data: string; readonly elsewhere: string; readonly api: string };
type Ran = { readonly code: number; readonly text: string };

/** Runs a line of the guide here instead of there. */
async function run(line: string, { data, elsewhere, api }: Machine): Promise<Ran> {
  const here = line
    .replace(inContainer, "")
    .replaceAll("/var/lib/sandboxed", data)
    .replaceAll("/mnt/elsewhere", elsewhere)
    .replaceAll("127.0.0.1:9090", api);
  const env = {
    PATH: `${join(process.execPath, "..")}:${process.env.PATH}`,
    SANDBOXD_DATA_DIR: data,
    SANDBOXD_ENV_FILE: "/dev/null",
  };
  const ran = promisify(execFile)("bash", ["-c", here], { cwd: root, env });
  return ran.then(
    ({ stdout }) => ({ code: 0, text: stdout }),
    ({ code, stderr }) => ({ code, text: stderr }),
  );
}

/** Every line must succeed; those for the whole stack are the test's own to do. */
async function runAll(t: Test, block: string, machine: Machine): Promise<string[]> {
  const texts: string[] = [];
  for (const line of block.trim().split("\n")) {
    if (/^docker compose (?:stop|up)/.test(line)) continue;
    const { code, text } = await run(line, machine);
    t.equal(code, 0, `${line}: ${text}`);
    texts.push(text);
  }
  return texts;
}

async function visit(pair: Pair, id: SandboxId, path: string): Promise<string> {
  const headers = { host: pair.hostOf(id) };
  const { statusCode, body } = await request(`http://127.0.0.1:${pair.gatewayPort}${path}`, { headers });
  const text = await body.text();
  return statusCode === 200 ? text : `${statusCode} ${text}`;
}

async function moveHouse(t: Test, engine: "process" | "docker"): Promise<void> {
  await using opened = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), "house-"));
  opened.defer(() => rm(directory, { recursive: true, force: true }));
  const [first, second, elsewhere] = ["first", "second", "elsewhere"].map((name) => join(directory, name));
  for (const each of [first!, second!, elsewhere!]) await mkdir(each);
  const network = engine === "docker" ? opened.use(await openDockerNetwork()) : undefined;
  const pair = opened.use(
    await openPair({
      ...network?.variables,
      ...{ SANDBOXD_DATA_DIR: first, SANDBOXD_CONTROL_SOCKET: join(directory, "control.sock") },
    }),
  );
  const machine = (data: string): Machine => ({ data, elsewhere: elsewhere!, api: pair.apiAddress });
  const cmd = [engine === "docker" ? "node" : process.execPath, "-e", app];
  // With a file system of its own, where root may make one.
  const disk = engine === "docker" && process.getuid?.() === 0 ? { disk: "64M" } : {};
  const env = { SECRET: { value: "of the app", secret: true } };
  const [awake, asleep] = [await pair.create({ cmd, env }), await pair.create({ cmd, labels: { a: "b" }, ...disk })];
  t.equal(await visit(pair, awake, "/write?first"), "first");
  t.equal(await visit(pair, asleep, "/write?second"), "second");
  await pair.sleep(asleep, "stop");

  const [made, listed] = await runAll(t, backUp, machine(first!));
  t.match(JSON.parse(made!), { sandboxes: 2, workspaces: 2, failed_workspaces: [] });
  t.match(JSON.parse(listed!).items, [{ id: JSON.parse(made!).id }]);
  await runAll(t, takeAway, machine(first!));
  const refused = await run(inPlace.split("\n")[1]!, machine(first!));
  t.match(refused, { code: 1, text: /control runs on this data directory/ }, "not while control runs");
  for (const id of [awake, asleep]) await pair.call("DELETE", `/v1/sandboxes/${id}`);

  await runAll(t, onEmptyMachine, machine(second!));
  await pair.restartControl({ SANDBOXD_DATA_DIR: second });
  t.equal(await visit(pair, awake, "/"), "first");
  t.equal(await visit(pair, awake, "/secret"), "of the app");
  t.equal(await visit(pair, asleep, "/"), "second");
  t.match(JSON.parse(await pair.call("GET", `/v1/sandboxes/${asleep}`)), { labels: { a: "b" }, status: "running" });

  for (const id of [awake, asleep]) t.equal(await visit(pair, id, "/write?later"), "later");
  await pair.restartControl({ SANDBOXD_DATA_DIR: first });
  const [plain, replacing] = [inPlace.split("\n")[1]!.replace("--replace ", ""), inPlace];
  t.match(await run(plain, machine(second!)), { code: 1, text: /there already/ }, "nothing is replaced by mistake");
  await runAll(t, replacing, machine(second!));
  await pair.restartControl({ SANDBOXD_DATA_DIR: second });
  t.equal(await visit(pair, awake, "/"), "first");
  t.equal(await visit(pair, asleep, "/"), "second");
  for (const id of [awake, asleep]) await pair.call("DELETE", `/v1/sandboxes/${id}`);
}

for (const { engine, skip } of forms)
  t.test(`a backup serves its sandboxes on an empty machine: engine ${engine}`, { skip }, (t) => moveHouse(t, engine));
