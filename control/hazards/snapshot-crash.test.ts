/** kill -9 of control at every step of taking, restoring and planting: each workspace and snapshot is whole, old or new. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import t, { type Test } from "tap";
import { request } from "undici";
import { newSandboxId } from "../sandboxes/create-sandbox.ts";
import { appBody, newDirectory } from "../testing/control.ts";

const main = join(import.meta.dirname, "..", "main.ts");
const dying = join(import.meta.dirname, "..", "snapshots", "testing", "die-at-step.ts");

class Control {
  readonly directory: string;
  readonly #armed: string;
  #child: ChildProcess | undefined;
  #address = "";

  constructor(directory: string) {
    this.directory = directory;
    this.#armed = join(directory, "armed");
  }

  /** It does not die before it is armed. */
  async start(dieAt: number): Promise<void> {
    rmSync(this.#armed, { force: true });
    const env = {
      ...{ PATH: process.env.PATH, SANDBOXD_ENGINE: "process", SANDBOXD_DATA_DIR: this.directory, ARMED: this.#armed },
      ...{ SANDBOXD_ENV_FILE: "/dev/null", SANDBOXD_API_BIND: "127.0.0.1:0", DIE_AT: String(dieAt) },
    };
    this.#child = spawn(process.execPath, ["--import", dying, main], { env, stdio: ["ignore", "pipe", "inherit"] });
    const listening = Promise.withResolvers<string>();
    createInterface({ input: this.#child.stdout! }).on("line", (line) => {
      if (line.includes('"listener":"api"')) listening.resolve(JSON.parse(line).address);
    });
    this.#address = await listening.promise;
  }

  /** From now on the steps are counted. */
  arm(): void {
    writeFileSync(this.#armed, "");
  }

  /** Ends it if it has not died. Returns whether it had. */
  async end(): Promise<boolean> {
    const child = this.#child!;
    if (child.exitCode === null && child.signalCode === null) {
      const ended = once(child, "exit");
      child.kill("SIGTERM");
      await ended;
    }
    return child.signalCode === "SIGKILL";
  }

  // biome-ignore lint/suspicious/noExplicitAny: what a test expects of an answer, it says.
  async call(method: "GET" | "POST" | "DELETE", path: string, body?: object): Promise<any> {
    const headers = { "content-type": "application/json" };
    const payload = body === undefined ? null : JSON.stringify(body);
    const answer = await request(`http://${this.#address}${path}`, { method, headers, body: payload });
    const text = await answer.body.text();
    return text === "" ? undefined : JSON.parse(text);
  }
}

type Scene = { readonly control: Control; readonly id: string; readonly snapshot: string };

/** Two files that belong together: a tree that has one of each is not whole. */
const pair = ["first", "second"] as const;
const app = (directory: string, id: string) => join(directory, "workspaces", id, "workspace", "app");

function write(place: string, content: string): void {
  mkdirSync(place, { recursive: true });
  for (const name of pair) writeFileSync(join(place, name), content);
}

function read(place: string): string {
  return pair
    .map((name) => (existsSync(join(place, name)) ? readFileSync(join(place, name), "utf8") : "none"))
    .join(" ");
}

/** Has control die at each step of an act, and looks at what the next one makes of it. */
async function atEachStep(
  t: Test,
  act: (scene: Scene) => Promise<unknown>,
  check: (t: Test, scene: Scene) => Promise<void>,
): Promise<void> {
  const control = new Control(newDirectory(t));
  await control.start(0);
  for (let dieAt = 0, hasDied = true; hasDied; dieAt++) {
    const { id } = await control.call("POST", "/v1/sandboxes", appBody);
    write(app(control.directory, id), "old");
    const { id: snapshot } = await control.call("POST", `/v1/sandboxes/${id}/snapshots`);
    write(app(control.directory, id), "new");
    control.arm();
    await act({ control, id, snapshot }).catch(() => {});
    hasDied = await control.end();
    await control.start(dieAt + 1);
    await check(t, { control, id, snapshot });
    const left = ["workspaces", "snapshots"].flatMap((name) => readdirSync(join(control.directory, name)));
    t.same(
      left.filter((name) => name.startsWith(".")),
      [],
      `nothing is left, died at ${dieAt}`,
    );
    for (const each of await control.call("GET", "/sandboxes")) await control.call("POST", `/sandbox/${each.id}/purge`);
    if (!hasDied) t.ok(dieAt > 2, `${dieAt} steps`);
  }
  await control.end();
}

t.test("a restore", async (t) => {
  const seen = new Set<string>();
  await atEachStep(
    t,
    ({ control, id, snapshot }) => control.call("POST", `/v1/sandboxes/${id}/restore`, { snapshot_id: snapshot }),
    async (t, { control, id }) => {
      const found = read(app(control.directory, id));
      t.ok(["old old", "new new"].includes(found), found);
      seen.add(found);
      t.match(await control.call("POST", `/v1/sandboxes/${id}/wake`), { status: "running" });
    },
  );
  t.equal(seen.size, 2, "before the change of places and after it");
});

t.test("a snapshot", async (t) => {
  await atEachStep(
    t,
    ({ control, id }) => control.call("POST", `/v1/sandboxes/${id}/snapshots`),
    async (t, { control, id, snapshot }) => {
      t.match(await control.call("POST", `/v1/sandboxes/${id}/wake`), { status: "running" });
      t.equal(read(app(control.directory, id)), "new new");
      const { items } = await control.call("GET", `/v1/sandboxes/${id}/snapshots`);
      const there = items.map((each: { id: string }) => each.id);
      t.same(readdirSync(join(control.directory, "snapshots")).sort(), there.toSorted());
      for (const each of there) {
        const found = read(join(control.directory, "snapshots", each, "workspace", "app"));
        t.equal(found, each === snapshot ? "old old" : "new new");
      }
    },
  );
});

t.test("a create that begins with a snapshot", async (t) => {
  const made = newSandboxId();
  await atEachStep(
    t,
    ({ control, snapshot }) => control.call("POST", "/v1/sandboxes", { ...appBody, id: made, from_snapshot: snapshot }),
    async (t, { control }) => {
      const answer = await control.call("POST", `/v1/sandboxes/${made}/wake`);
      if (answer.error?.code === "not_found") return;
      t.match(answer, { status: "running" });
      t.equal(read(app(control.directory, made)), "old old");
    },
  );
});

t.test("the removal of a snapshot", async (t) => {
  await atEachStep(
    t,
    ({ control, snapshot }) => control.call("DELETE", `/v1/snapshots/${snapshot}`),
    async (t, { control, id, snapshot }) => {
      const { items } = await control.call("GET", `/v1/sandboxes/${id}/snapshots`);
      const there = readdirSync(join(control.directory, "snapshots"));
      t.same(
        there,
        items.map((each: { id: string }) => each.id),
      );
      if (there.length > 0)
        t.equal(read(join(control.directory, "snapshots", snapshot, "workspace", "app")), "old old");
    },
  );
});
