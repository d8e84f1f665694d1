import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import t, { type Test } from "tap";

const main = join(import.meta.dirname, "main.ts");
const answer = (text: string) =>
  `require("node:http").createServer((_, s) => s.end(${JSON.stringify(text)})).listen(process.env.PORT, process.env.HOST)`;

/** A supervisor in a home of its own. */
class Supervised {
  readonly port: number;
  readonly home: string;
  readonly child: ChildProcess;
  readonly #lines: string[] = [];
  readonly #ended: Promise<unknown[]>;
  #heard = () => {};

  private constructor(home: string, port: number) {
    this.home = home;
    this.port = port;
    const env = { PATH: process.env.PATH, HOME: home, PORT: String(port), HOST: "127.0.0.1" };
    this.child = spawn(process.execPath, [main], { cwd: join(home, "app"), env, stdio: ["ignore", "pipe", "inherit"] });
    this.#ended = once(this.child, "exit");
    createInterface({ input: this.child.stdout! }).on("line", (line) => {
      this.#lines.push(line);
      this.#heard();
    });
  }

  static async start(t: Test, files: Record<string, string> = {}): Promise<Supervised> {
    const home = mkdtempSync(join(tmpdir(), "supervisor-"));
    mkdirSync(join(home, "app"));
    for (const [name, content] of Object.entries(files)) writeFileSync(join(home, "app", name), content);
    const supervised = new Supervised(home, await freePort());
    t.teardown(async () => {
      await supervised.end();
      rmSync(home, { recursive: true });
    });
    return supervised;
  }

  write(name: string, content: string): void {
    writeFileSync(join(this.home, "app", name), content);
  }

  /** Resolves once it has said so, since the last time that this was asked. */
  async said(pattern: RegExp): Promise<void> {
    for (;;) {
      const index = this.#lines.findIndex((line) => pattern.test(line));
      if (index >= 0) return void this.#lines.splice(0, index + 1);
      await new Promise<void>((resolve) => {
        this.#heard = resolve;
      });
    }
  }

  async ask(path = "/"): Promise<{ status: number; text: string }> {
    const response = await fetch(`http://127.0.0.1:${this.port}${path}`);
    return { status: response.status, text: await response.text() };
  }

  /** Asks until somebody gives this answer: a program says nothing when it begins to listen. */
  async answers(text: string): Promise<void> {
    while ((await this.ask().catch(() => undefined))?.text !== text);
  }

  /** The page in an app's place, once it is there. */
  async standsIn(): Promise<{ status: number; text: string }> {
    for (;;) {
      const page = await this.ask().catch(() => undefined);
      if (page !== undefined) return page;
    }
  }

  get state(): Record<string, unknown> {
    return JSON.parse(readFileSync(join(this.home, ".local/state/sandbox/state.json"), "utf8"));
  }

  async end(): Promise<unknown> {
    this.child.kill("SIGTERM");
    return (await this.#ended)[0];
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  return port;
}

t.test("the supervisor goes from nothing to a page to an app, as files come", async (t) => {
  const it = await Supervised.start(t);
  await it.said(/no app yet/);
  t.match(await it.standsIn(), { status: 200, text: /Put your app here/ });

  it.write("index.html", "<p>hello</p>");
  await it.said(/serving the files/);
  t.strictSame(await it.standsIn(), { status: 200, text: "<p>hello</p>" });
  t.equal((await it.ask("/none.html")).status, 404);
  t.equal((await it.ask("/.env")).status, 404);
  t.equal((await it.ask("/..%2f.local/state/sandbox/state.json")).status, 404);

  it.write("server.js", answer("first"));
  await it.said(/starting \(server\.js\)/);
  await it.answers("first");
  t.match(it.state, { state: "running", command: "node server.js", ends: 0 });

  it.write("other.js", answer("second"));
  it.write("package.json", JSON.stringify({ scripts: { dev: "node other.js" } }));
  await it.said(/starting \(package\.json\): node other\.js/);
  await it.answers("second");
});

t.test("the supervisor says how an app ended, and starts it again", async (t) => {
  const it = await Supervised.start(t, { "server.js": "console.log('no <config>'); process.exit(3)" });
  await it.said(/ended with code 3 after \d+ ms, again in 1 s/);
  const page = await it.standsIn();
  t.equal(page.status, 503);
  t.match(page.text, /node server\.js<\/code> ended with code 3/);
  t.match(page.text, /no &lt;config>/);
  t.match(it.state, { state: "failed", ends: 1, last_exit: { code: 3, signal: null } });
  await it.said(/starting/);
  await it.said(/again in 2 s/);
  it.write("server.js", answer("mended"));
  await it.said(/starting/);
  await it.answers("mended");
  t.match(readFileSync(join(it.home, ".local/state/sandbox/app.log"), "utf8"), /no <config>/);
});

t.test("the supervisor ends all that an app has started", async (t) => {
  const grandchild = `require("node:child_process").spawn(process.execPath, ["-e", ${JSON.stringify(answer("orphan"))}], { stdio: "inherit" });`;
  const it = await Supervised.start(t, { "server.js": `${grandchild} setInterval(() => {}, 1000)` });
  await it.answers("orphan");
  t.equal(await it.end(), 0);
  await t.rejects(it.ask(), "nobody is left");
});

t.test("the supervisor waits for an app that takes its time to end", async (t) => {
  const slow = `process.on("SIGTERM", () => { console.log("going"); setTimeout(() => process.exit(7), 100); }); ${answer("slow")}`;
  const it = await Supervised.start(t, { "server.js": slow });
  await it.answers("slow");
  t.equal(await it.end(), 0);
  await it.said(/going/);
});

t.test("the supervisor installs what a project depends on before it starts it", async (t) => {
  const project = { scripts: { dev: "own-app" }, dependencies: { "own-app": "file:own-app" } };
  const it = await Supervised.start(t);
  await it.said(/no app yet/);
  mkdirSync(join(it.home, "app", "own-app"));
  it.write("own-app/package.json", JSON.stringify({ name: "own-app", version: "1.0.0", bin: "main.js" }));
  it.write("own-app/main.js", `#!/usr/bin/env node\n${answer("installed")}`);
  it.write("package.json", JSON.stringify(project));
  await it.said(/installing: npm install/);
  await it.answers("installed");
});
