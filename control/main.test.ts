import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import t, { type Test } from "tap";
import { Agent, request } from "undici";
import { appBody, newDirectory } from "./testing/control.ts";

type Line = Record<string, unknown>;

/** Starts the program as an operator would. */
function start(t: Test, variables: Record<string, string>) {
  const env = { PATH: process.env.PATH, SANDBOXD_ENV_FILE: "/no/such/file", SANDBOXD_ENGINE: "process", ...variables };
  const child = spawn(process.execPath, [join(import.meta.dirname, "main.ts")], {
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  t.teardown(() => child.kill("SIGKILL"));
  const lines: Line[] = [];
  const listening = Promise.withResolvers<Line>();
  createInterface(child.stdout).on("line", (text) => {
    const line = JSON.parse(text) as Line;
    lines.push(line);
    if (line.msg === "listening" && line.listener === "api") listening.resolve(line);
  });
  let stderr = "";
  child.stderr.on("data", (chunk) => {
    stderr += String(chunk);
  });
  const ended = exitOf(child);
  void ended.then(({ code }) => listening.reject(new Error(`it ended with ${code}: ${stderr}`)));
  listening.promise.catch(() => {});
  return { child, lines, listening: listening.promise, ended, stderr: () => stderr };
}

async function exitOf(child: ChildProcess): Promise<{ code: number | null; signal: string | null }> {
  const [code, signal] = await once(child, "close");
  return { code, signal };
}

const at = (directory: string) => ({ SANDBOXD_DATA_DIR: directory, SANDBOXD_API_BIND: "127.0.0.1:0" });

async function create(address: unknown): Promise<{ id: string }> {
  const url = `http://${address}/v1/sandboxes`;
  const answer = await request(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(appBody),
  });
  return (await answer.body.json()) as { id: string };
}

t.test("main says where it listens, survives SIGHUP, and ends with 0 on SIGTERM and SIGINT", async (t) => {
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    const directory = newDirectory(t);
    const control = start(t, at(directory));
    const { address } = await control.listening;
    t.match(address, /^127\.0\.0\.1:[1-9][0-9]*$/);
    const path = join(directory, "run", "control.sock");
    t.match(
      control.lines.find(({ listener }) => listener === "control-socket"),
      { msg: "listening", path },
    );
    await create(address);
    control.child.kill("SIGHUP");
    t.equal((await request(`http://${address}/healthz`)).statusCode, 200);
    control.child.kill(signal);
    t.same(await control.ended, { code: 0, signal: null });
    t.equal(control.stderr(), "");
    t.notOk(existsSync(path), "the socket is gone");
  }
});

t.test("main ends with 2 for a bad environment, one line for each variable", async (t) => {
  const control = start(t, { ...at(newDirectory(t)), SANDBOXD_HOLD_SECONDS: "long", HTTP_PORT: "none" });
  t.match(await control.ended, { code: 2 });
  const lines = control.stderr().trim().split("\n");
  t.match(lines, [/HTTP_PORT/, /SANDBOXD_HOLD_SECONDS/]);
  t.same(control.lines, []);
});

t.test("main ends with 2 for an environment file that does not parse", async (t) => {
  const path = join(newDirectory(t), "bad.env");
  writeFileSync(path, "nonsense\n");
  const control = start(t, { ...at(newDirectory(t)), SANDBOXD_ENV_FILE: path });
  t.match(await control.ended, { code: 2 });
  t.match(control.stderr(), /SANDBOXD_ENV_FILE.*line 1/);
});

t.test("main ends with 1 and one clear line when its port is taken", async (t) => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
  t.teardown(() => other.close());
  const { port } = other.address() as { port: number };
  const control = start(t, { ...at(newDirectory(t)), SANDBOXD_API_BIND: `127.0.0.1:${port}` });
  t.match(await control.ended, { code: 1 });
  t.match(control.stderr(), /^Cannot listen on 127\.0\.0\.1:[0-9]+ \(SANDBOXD_API_BIND\): it is taken\n$/);
});

t.test("main ends with 1 when another control has the data directory", async (t) => {
  const directory = newDirectory(t);
  const first = start(t, at(directory));
  await first.listening;
  const second = start(t, at(directory));
  t.match(await second.ended, { code: 1 });
  t.match(second.stderr(), /^Another control runs on this data directory \(SANDBOXD_DATA_DIR\): .*\n$/);
  first.child.kill("SIGTERM");
  t.match(await first.ended, { code: 0 });
});

t.test("main warns loudly of an API that is open at the edge, and of one that is shut", async (t) => {
  const warnings = async (variables: Record<string, string>) => {
    const control = start(t, { ...at(newDirectory(t)), ...variables });
    await control.listening;
    control.child.kill("SIGTERM");
    await control.ended;
    return control.lines.filter(({ level }) => level === 40).map(({ msg }) => msg);
  };
  t.match(await warnings({ SANDBOXD_API_AUTH_DISABLED: "true" }), [/SANDBOXD_API_AUTH_DISABLED=true/]);
  t.match(await warnings({}), [/SANDBOXD_API_TOKENS is empty/]);
  t.same(await warnings({ SANDBOXD_API_TOKENS: "ada:s3cret" }), []);
  const tokens = { SANDBOXD_API_TOKENS: "ada:s3cret" };
  const secrets = `short=guess-me,long=${"x".repeat(32)}`;
  const [weak, ...more] = await warnings({ ...tokens, SANDBOXD_PREVIEW_TOKEN_SECRETS: secrets });
  t.match(weak, /SANDBOXD_PREVIEW_TOKEN_SECRETS.*32 bytes/);
  t.same(more, []);
});

t.test("a control that was killed comes back with its sandboxes running", async (t) => {
  const directory = newDirectory(t);
  const first = start(t, at(directory));
  const { address } = await first.listening;
  const { id } = await create(address);
  const before = await inspect(address, id);
  const app = await appAddress(directory, id);
  t.equal((await request(app)).statusCode, 200);
  first.child.kill("SIGKILL");
  await first.ended;
  const second = start(t, at(directory));
  const { address: again } = await second.listening;
  t.match(await inspect(again, id), {
    row: { status: "running", generation: before.row.generation },
    runtime: { pid: before.runtime.pid },
  });
  second.child.kill("SIGTERM");
  t.match(await second.ended, { code: 0 });
  await t.rejects(request(app), { code: "ECONNREFUSED" }, "nothing runs on after a clean stop");
  const third = start(t, at(directory));
  t.match(await inspect((await third.listening).address, id), {
    row: { status: "stopped", status_reason: null },
    live_state: "exited",
  });
  t.match(await explained((await third.listening).address, id), [
    { kind: "stop", cause: "shutdown", outcome: "stopped" },
  ]);
  third.child.kill("SIGTERM");
  await third.ended;
});

/** Where the sandbox's own server listens. */
async function appAddress(directory: string, id: string): Promise<string> {
  const dispatcher = new Agent({ connect: { socketPath: join(directory, "run", "control.sock") } });
  const url = `http://control.internal/gateway/sandboxes/${id}/listeners`;
  for (;;) {
    const { body } = await request(url, { dispatcher });
    const { reachable } = (await body.json()) as { reachable: number[] };
    if (reachable.length === 0) continue;
    await dispatcher.destroy();
    return `http://127.0.0.1:${reachable[0]}/`;
  }
}

async function explained(address: unknown, id: string): Promise<unknown> {
  const { body } = await request(`http://${address}/v1/sandboxes/${id}/explain`);
  return ((await body.json()) as { recent: unknown[] }).recent.slice(0, 1);
}

type Inspection = { row: { generation: number }; runtime: { pid: number } };

async function inspect(address: unknown, id: string): Promise<Inspection> {
  const { body } = await request(`http://${address}/sandbox/${id}`);
  return (await body.json()) as Inspection;
}

t.test("main names a key set that it cannot use, and exits with 2", async (t) => {
  const directory = newDirectory(t);
  const file = join(directory, "keys.json");
  for (const text of [undefined, "{", "[]"]) {
    if (text !== undefined) writeFileSync(file, text);
    const control = start(t, { ...at(directory), SANDBOXD_PREVIEW_JWKS_FILE: file });
    t.same(await control.ended, { code: 2, signal: null });
    t.match(control.stderr(), /^Cannot use SANDBOXD_PREVIEW_JWKS_FILE: [^\n]*keys\.json[^\n]*\n$/);
  }
});
