import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { request } from "node:http";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import t, { type Test } from "tap";

const root = import.meta.dirname;
const script = join(root, "start.mjs");

/** `npm start` as its user sees it, by itself without npm: what it prints, and its end. */
class Start {
  output = "";
  /** Whether nothing that was started has its output any more. */
  #closed = false;
  readonly child;
  readonly ended: Promise<number | null>;

  constructor(t: Test, dataDirectory: string, more: NodeJS.ProcessEnv = {}, command = [process.execPath, script]) {
    const variables = { SANDBOXD_DATA_DIR: dataDirectory, SANDBOXD_ENV_FILE: join(dataDirectory, "none") };
    const binds = { GATEWAY_BIND: "127.0.0.1:0", SANDBOXD_API_BIND: "127.0.0.1:0" };
    const [file, ...args] = command;
    this.child = spawn(file!, args, {
      cwd: root,
      env: { PATH: process.env.PATH, ...variables, ...binds, ...more },
      stdio: ["ignore", "pipe", "pipe"],
      // A process group of its own, as a shell gives it: a signal to the group is a Ctrl-C.
      detached: true,
    });
    this.ended = once(this.child, "close").then(([code]) => {
      this.#closed = true;
      return code;
    });
    for (const stream of [this.child.stdout!, this.child.stderr!]) {
      stream.on("data", (chunk) => {
        this.output += chunk;
        this.child.emit("output");
      });
    }
    t.teardown(() => this.interrupt());
  }

  async line(pattern: RegExp): Promise<string> {
    for (;;) {
      const match = pattern.exec(this.output);
      if (match) return match[0];
      if (this.child.exitCode !== null) throw new Error(`it ended:\n${this.output}`);
      await Promise.race([once(this.child, "output"), this.ended]);
    }
  }

  async interrupt(): Promise<number | null> {
    if (!this.#closed) process.kill(-this.child.pid!, "SIGINT");
    return await this.ended;
  }
}

const previewLine = /^http:\/\/s-[0-9a-z]{26}-3000\.preview\.localhost:\d+\/$/m;
const apiLine = /^127\.0\.0\.1:\d+$/m;

/** Node looks up no `*.localhost`: dialled by address, named by Host. */
async function get(url: string): Promise<{ status: number; text: string }> {
  const { host, port } = new URL(url);
  const sent = request({ host: "127.0.0.1", port, headers: { host, accept: "text/html" }, agent: false }).end();
  const [answer] = await once(sent, "response");
  return { status: answer.statusCode, text: Buffer.concat(await answer.toArray()).toString() };
}

t.test("npm start serves a demo sandbox, and finds it again the next time", async (t) => {
  const directory = t.testdir();
  const first = new Start(t, directory);
  const url = await first.line(previewLine);
  const api = await first.line(apiLine);
  t.match(await get(url), { status: 200, text: /It runs\./ });
  const { items } = (await call(`http://${api}/v1/sandboxes`)) as { items: { id: string }[] };
  t.equal(items.length, 1);
  const { runtime } = (await call(`http://${api}/sandbox/${items[0]!.id}`)) as { runtime: { pid: number } };
  t.ok(isAlive(runtime.pid), "the demo's process runs");
  t.equal(await first.interrupt(), 0, "Ctrl-C ends it cleanly");
  t.notOk(isAlive(runtime.pid), "and its sandbox with it");

  const second = new Start(t, directory);
  const again = await second.line(previewLine);
  t.equal(new URL(again).hostname, new URL(url).hostname, "the same sandbox");
  t.match(await get(again), { status: 200, text: /It runs\./ }, "which wakes up");
  t.equal(await second.interrupt(), 0);
});

t.test("npm start ends everything when npm alone is asked to end", async (t) => {
  const start = new Start(t, t.testdir(), {}, ["npm", "start"]);
  const url = await start.line(previewLine);
  const api = await start.line(apiLine);
  t.equal((await get(url)).status, 200);
  const exited = once(start.child, "exit");
  start.child.kill("SIGTERM");
  t.same(await exited, [0, null]);
  await t.rejects(get(url), { code: "ECONNREFUSED" });
  await t.rejects(fetch(`http://${api}/healthz`));
});

t.test("npm start names the variable of a taken port", async (t) => {
  const taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  t.teardown(() => taken.close());
  const address = `127.0.0.1:${(taken.address() as AddressInfo).port}`;
  for (const variable of ["GATEWAY_BIND", "SANDBOXD_API_BIND"]) {
    const start = new Start(t, t.testdir(), { [variable]: address });
    t.not(await start.ended, 0);
    const lines = start.output.split("\n").filter((line) => line.includes(variable));
    t.equal(lines.length, 1, start.output);
    t.match(lines[0], address);
  }
});

t.test("start.mjs says in one line what an older Node lacks", async (t) => {
  const older = readFileSync(script, "utf8").replace(/process\.versions\.node/g, '"20.1.0"');
  const child = spawn(process.execPath, ["--input-type=module", "--eval", older], { cwd: root, stdio: "pipe" });
  let errors = "";
  child.stderr.on("data", (chunk) => {
    errors += chunk;
  });
  const [code] = await once(child, "close");
  t.equal(code, 2);
  t.match(errors, /^sandboxd runs on Node 24.*npm ci && npm start.*\n$/);
});

async function call(url: string): Promise<unknown> {
  return (await fetch(url)).json();
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
