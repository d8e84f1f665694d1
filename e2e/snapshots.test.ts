/** Snapshots of a sandbox in use, through a whole gateway and control: what visitors ask for meanwhile is late and never lost. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import t, { type Test } from "tap";
import { Agent, request } from "undici";
import type { SandboxId } from "#contract/sandbox-id.ts";
import type { Pair } from "./pair.ts";
import { missingPart } from "./parts/parts.ts";
import { openSleeper } from "./sleeper.ts";

t.setTimeout(300_000);

const app = readFileSync(join(import.meta.dirname, "apps", "notes.js"), "utf8");
const forms = [
  { engine: "process", skip: false },
  { engine: "docker", skip: missingPart("images") },
] as const;
const ballastMb = 1024;

/** Visitors who never cease to ask, and note what went wrong and how long the longest of them waited. */
class Visitors {
  readonly failures: string[] = [];
  answered = 0;
  longestMs = 0;
  readonly #pair: Pair;
  readonly #id: SandboxId;
  readonly #agent = new Agent({ headersTimeout: 0 });
  readonly #leaving = new AbortController();
  #clients: Promise<void>[] = [];

  constructor(pair: Pair, id: SandboxId) {
    this.#pair = pair;
    this.#id = id;
  }

  async ask(path: string): Promise<string> {
    const url = `http://127.0.0.1:${this.#pair.gatewayPort}${path}`;
    const headers = { host: this.#pair.hostOf(this.#id) };
    const { statusCode, body } = await request(url, { dispatcher: this.#agent, headers });
    const text = await body.text();
    if (statusCode !== 200) throw new Error(`${statusCode} ${text}`);
    return text;
  }

  begin(count: number): void {
    this.#clients = Array.from({ length: count }, () => this.#stay());
  }

  async end(): Promise<void> {
    this.#leaving.abort();
    await Promise.all(this.#clients);
    await this.#agent.destroy();
  }

  async #stay(): Promise<void> {
    while (!this.#leaving.signal.aborted) {
      const begun = performance.now();
      await this.ask("/").then(
        () => this.answered++,
        (error: Error) => this.failures.push(error.message),
      );
      this.longestMs = Math.max(this.longestMs, Math.round(performance.now() - begun));
    }
  }
}

async function takeAndRestore(t: Test, engine: "process" | "docker"): Promise<void> {
  await using sleeper = await openSleeper(engine);
  const { pair, node } = sleeper;
  const cmd = [node, "-e", app];
  const id = await pair.create({ cmd, external: { user_id: "ada" } });
  const visitors = new Visitors(pair, id);
  t.equal(await visitors.ask(`/fill?${ballastMb}`), "none");
  t.equal(await visitors.ask("/write?one"), "one");
  await visitors.ask("/count");
  visitors.begin(4);
  const path = `/v1/sandboxes/${id}`;
  const snapshot = JSON.parse(await pair.call("POST", `${path}/snapshots`, { name: "one" }));
  t.ok(snapshot.size_bytes >= ballastMb * 2 ** 20, String(snapshot.size_bytes));
  t.comment(`${engine}: ${ballastMb} MB were copied in ${snapshot.stood_still_ms} ms of standing still`);
  t.comment(`the longest of ${visitors.answered} requests took ${visitors.longestMs} ms`);
  t.equal(await visitors.ask("/write?two"), "two");
  const before = visitors.answered;
  await pair.call("POST", `${path}/restore`, { snapshot_id: snapshot.id });
  t.equal(await visitors.ask("/"), "one");
  t.ok(visitors.answered > before);
  const counted: number[] = JSON.parse(await visitors.ask("/counted"));
  const wrong = counted.some((round, n) => n > 0 && (round > counted[n - 1]! || round < counted[0]! - 1));
  t.notOk(wrong || counted[0] === 0, `the files are those of one moment: ${counted}`);
  await visitors.end();
  t.same(visitors.failures, []);
  const events = JSON.parse(await pair.call("GET", path));
  t.match(events, { status: "running" });

  const twin = await pair.create({ cmd, from_snapshot: snapshot.id, external: { user_id: "ada" } });
  const guest = new Visitors(pair, twin);
  t.equal(await guest.ask("/"), "one", "a sandbox of it begins where it was");
  t.equal(await guest.ask("/write?three"), "three", "and may write to what it got");
  await guest.end();
  for (const each of [id, twin]) await pair.call("DELETE", `/v1/sandboxes/${each}`);
}

t.test(
  "a workspace with a disk of its own is copied and put back",
  { skip: missingPart("images", "root") },
  async (t) => {
    await using sleeper = await openSleeper("docker");
    const { pair } = sleeper;
    const id = await pair.create({ cmd: ["node", "-e", app], disk: "64M" });
    const visitors = new Visitors(pair, id);
    t.equal(await visitors.ask("/write?one"), "one");
    const path = `/v1/sandboxes/${id}`;
    const snapshot = JSON.parse(await pair.call("POST", `${path}/snapshots`, {}));
    t.ok(snapshot.size_bytes < 2 ** 20, "what is in it, not what it may hold");
    t.equal(await visitors.ask("/write?two"), "two");
    await pair.call("POST", `${path}/restore`, { snapshot_id: snapshot.id });
    t.equal(await visitors.ask("/"), "one");
    const { limit_bytes } = JSON.parse(await pair.call("GET", `${path}/disk`));
    t.equal(limit_bytes, 64 * 2 ** 20, "and is bounded as before");
    await visitors.end();
    await pair.call("DELETE", path);
  },
);

for (const { engine, skip } of forms)
  t.test(`a snapshot in use fails no request: engine ${engine}`, { skip }, (t) => takeAndRestore(t, engine));
