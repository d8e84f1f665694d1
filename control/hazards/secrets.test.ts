/** A secret variable reaches the app, and is in nothing that anybody reads or copies: answers, database, records, logs. */
import { type ChildProcess, spawn } from "node:child_process";
import { createHash, randomUUID } from "node:crypto";
import { once } from "node:events";
import { readdirSync, readFileSync, renameSync, statSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import t, { type Test } from "tap";
import { request } from "undici";
import { newDirectory } from "../testing/control.ts";

const main = join(import.meta.dirname, "..", "main.ts");
const telling =
  "console.log('print ' + require('crypto').createHash('sha256').update(process.env.TOKEN ?? '').digest('hex'));" +
  "setInterval(() => {}, 1000)";
const app = { ports: [3000], cmd: [process.execPath, "-e", telling] };
const print = (value: string) => `print ${createHash("sha256").update(value).digest("hex")}`;

type Called = { readonly status: number; readonly text: string };

/** A control of its own process, with all that it ever said. */
class Program {
  readonly said: string[] = [];
  readonly #directory: string;
  #child: ChildProcess | undefined;
  #address = "";

  constructor(directory: string) {
    this.#directory = directory;
  }

  async start(): Promise<void> {
    const env = {
      ...{ PATH: process.env.PATH, SANDBOXD_ENGINE: "process", SANDBOXD_DATA_DIR: this.#directory },
      ...{ SANDBOXD_ENV_FILE: "/dev/null", SANDBOXD_API_BIND: "127.0.0.1:0", SANDBOXD_LOG_LEVEL: "trace" },
    };
    this.#child = spawn(process.execPath, [main], { env, stdio: ["ignore", "pipe", "pipe"] });
    this.#child.stderr!.on("data", (chunk: Buffer) => this.said.push(chunk.toString()));
    const listening = Promise.withResolvers<string>();
    createInterface({ input: this.#child.stdout! }).on("line", (line) => {
      this.said.push(line);
      if (line.includes('"listener":"api"')) listening.resolve(JSON.parse(line).address);
    });
    this.#address = await listening.promise;
  }

  async end(): Promise<void> {
    const ended = once(this.#child!, "exit");
    this.#child!.kill("SIGTERM");
    await ended;
  }

  async call(method: "GET" | "POST" | "PATCH" | "DELETE", path: string, body?: unknown, key?: string): Promise<Called> {
    const payload = typeof body === "string" ? body : body === undefined ? null : JSON.stringify(body);
    const headers = { "content-type": "application/json", ...(key !== undefined && { "idempotency-key": key }) };
    const answer = await request(`http://${this.#address}${path}`, { method, body: payload, headers });
    const text = await answer.body.text();
    this.said.push(JSON.stringify(answer.headers), text);
    return { status: answer.statusCode, text };
  }

  /** Waits for a line of the sandbox's log that came after so many others. */
  async line(id: string, wanted: string): Promise<void> {
    while (!(await this.call("GET", `/v1/sandboxes/${id}/logs?tail=1`)).text.includes(wanted));
  }
}

/** Every file of a directory in which one of the texts is, but of the keys. */
function filesWith(directory: string, texts: readonly string[]): string[] {
  return readdirSync(directory, { recursive: true, encoding: "utf8" }).filter((name) => {
    const path = join(directory, name);
    if (name.startsWith("keys/") || !statSync(path, { throwIfNoEntry: false })?.isFile()) return false;
    const content = readFileSync(path);
    return texts.some((text) => content.includes(text));
  });
}

async function startProgram(t: Test) {
  const directory = newDirectory(t);
  const program = new Program(directory);
  await program.start();
  t.teardown(() => program.end());
  return { directory, program };
}

t.test("a secret reaches the app alone", async (t) => {
  const { directory, program } = await startProgram(t);
  const [first, second] = [`first-${randomUUID()}`, `second-${randomUUID()}`];
  const hidden = [first, second].flatMap((value) => [
    value,
    Buffer.from(value).toString("base64url").slice(0, -2),
    createHash("sha256").update(value).digest("base64url"),
  ]);
  const body = { ...app, env: { PLAIN: "seen", TOKEN: { value: first, secret: true } } };
  const created = await program.call("POST", "/v1/sandboxes", body, "key");
  t.equal(created.status, 201);
  const { id, env } = JSON.parse(created.text);
  t.same(env, { PLAIN: "seen", TOKEN: { secret: true } });
  await program.line(id, print(first));
  t.same(await program.call("POST", "/v1/sandboxes", body, "key"), created, "the first answer again");
  const another = { ...body, env: { ...body.env, TOKEN: { value: second, secret: true } } };
  t.equal((await program.call("POST", "/v1/sandboxes", another, "key")).status, 409);

  const path = `/v1/sandboxes/${id}`;
  t.equal((await program.call("PATCH", path, { env: { PLAIN: null, TOKEN: { secret: true } } })).status, 200);
  await program.call("POST", `${path}/restart`);
  await program.line(id, print(first));
  t.equal((await program.call("PATCH", path, { env: { TOKEN: { value: second } } })).status, 200);
  await program.call("POST", `${path}/restart`);
  await program.line(id, print(second));

  for (const wrong of [
    { ...body, cmd: ["/no/such/program"] },
    { ...body, env: { TOKEN: { value: [first], secret: true } } },
    { ...body, env: { TOKEN: { value: first, secret: first } } },
    { ...body, env: { TOKEN: { value: first, secret: true, more: first } } },
    { ...body, env: { TOKEN: { value: `${first}\u0000`, secret: true } } },
    { ...body, ports: [first] },
    JSON.stringify(body).slice(0, -1),
    `${JSON.stringify(body)}${first}`,
    `{"env":{"TOKEN":${first}}}`,
  ])
    t.ok((await program.call("POST", "/v1/sandboxes", wrong, randomUUID())).status >= 400);
  t.equal((await program.call("PATCH", path, { env: { TOKEN: { secret: false } } })).status, 400);
  for (const read of ["", "/explain", "/logs", "/shares"]) await program.call("GET", path + read);
  for (const read of ["/v1/sandboxes", "/sandboxes", `/sandbox/${id}`, "/v1/audit", "/metrics", "/openapi.json"])
    await program.call("GET", read);
  t.same(filesWith(directory, hidden), [], "while it runs");

  await program.end();
  t.same(filesWith(directory, hidden), [], "and once it has ended");
  const keys = join(directory, "keys");
  renameSync(keys, `${keys}.away`);
  await program.start();
  const refused = await program.call("POST", `${path}/wake`);
  t.match(refused, { status: 422, text: /start_failed.*key of the secret TOKEN/ });
  await program.end();
  renameSync(keys, join(directory, "keys", "..", "keys.other"));
  renameSync(`${keys}.away`, keys);
  await program.start();
  t.equal((await program.call("POST", `${path}/wake`)).status, 200);
  await program.line(id, print(second));
  t.equal((await program.call("PATCH", path, { env: { TOKEN: null } })).status, 200);
  await program.call("POST", `${path}/restart`);
  await program.line(id, print(""));
  const said = program.said.join("\n");
  t.match(said, /sealed under another key/);
  t.same(
    hidden.filter((text) => said.includes(text)),
    [],
  );
});
