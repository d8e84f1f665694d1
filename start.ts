import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { copyFile, mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import pretty from "pino-pretty";
import { ulid } from "ulid";
import { highestSocketPathLength } from "#contract/control-socket.ts";

/** Starts control and the gateway on the process engine with a demo sandbox, for whoever tries it out. */

const root = import.meta.dirname;
const dataDirectory = resolve(process.env.SANDBOXD_DATA_DIR || join(root, ".data"));
const demoLabel = "demo=true";
const demoPort = 3000;

type Part = { readonly child: ChildProcess; readonly address: string };

const children: ChildProcess[] = [];
const output = process.stdout.isTTY
  ? pretty({ colorize: true, ignore: "pid,hostname", singleLine: true })
  : process.stdout;
let stopping = false;

for (const name of ["SIGINT", "SIGTERM"] as const) process.on(name, () => void stop(0));
try {
  await start();
} catch (error) {
  if (!stopping) console.error((error as Error).message);
  await stop(1);
}

async function start(): Promise<void> {
  const environment = {
    SANDBOXD_ENGINE: "process",
    GATEWAY_BIND: "127.0.0.1:8080",
    GATEWAY_WORKERS: "1",
    SANDBOXD_GATEWAY_DRAIN_SECONDS: "1",
    SANDBOXD_CONTROL_SOCKET: socketPath(),
    ...set(process.env),
    SANDBOXD_DATA_DIR: dataDirectory,
  };
  const gateway = await startPart("gateway", "preview", environment);
  const publicPort = gateway.address.slice(gateway.address.lastIndexOf(":") + 1);
  const control = await startPart("control", "api", { HTTP_PORT: publicPort, ...environment });
  const url = await demoSandbox(`http://${control.address}`);
  console.log(
    `\nA demo sandbox is at\n\n${url}\n\nThe API listens on\n\n${control.address}\n\nCtrl-C ends everything.\n`,
  );
}

/** Where control and the gateway meet: in the data directory, unless that lies too deep for a socket's path. */
function socketPath(): string {
  const path = join(dataDirectory, "run", "control.sock");
  if (Buffer.byteLength(path) <= highestSocketPathLength) return path;
  const name = createHash("sha256").update(dataDirectory).digest("hex").slice(0, 16);
  return join(tmpdir(), `sandboxd-${name}`, "control.sock");
}

/** An empty variable is an unset one. */
function set(variables: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(variables).filter(([, value]) => value !== ""));
}

/** Starts one process and waits until it says that `listener` listens. Its end before that is an error. */
async function startPart(name: string, listener: string, env: NodeJS.ProcessEnv): Promise<Part> {
  const child = spawn(process.execPath, [join(root, name, "main.ts")], { env, stdio: ["ignore", "pipe", "inherit"] });
  children.push(child);
  const address = Promise.withResolvers<string>();
  createInterface({ input: child.stdout! }).on("line", (line) => {
    output.write(`${line}\n`);
    const entry = parse(line);
    if (entry.msg === "listening" && entry.listener === listener) address.resolve(entry.address!);
  });
  child.once("exit", (code) => {
    address.reject(new Error(`${name} could not start.`));
    if (!stopping) void stop(code || 1);
  });
  return { child, address: await address.promise };
}

function parse(line: string): { msg?: string; listener?: string; address?: string } {
  try {
    return JSON.parse(line);
  } catch {
    return {};
  }
}

/** The demo sandbox of an earlier start, or a new one. Returns its preview URL. */
async function demoSandbox(api: string): Promise<string> {
  const known = await call("GET", `${api}/v1/sandboxes?label=${encodeURIComponent(demoLabel)}`);
  const sandbox = known.items[0] ?? (await createDemo(api));
  return sandbox.previews[0].url;
}

async function createDemo(api: string): Promise<{ previews: { url: string }[] }> {
  const id = ulid();
  const app = join(dataDirectory, "workspaces", id, "workspace", "app");
  await mkdir(app, { recursive: true });
  for (const file of ["package.json", "server.js"]) await copyFile(join(root, "demo", file), join(app, file));
  const cmd = ["node", "server.js"];
  return await call("POST", `${api}/v1/sandboxes`, { id, ports: [demoPort], cmd, labels: { demo: "true" } });
}

// biome-ignore lint/suspicious/noExplicitAny: the shapes are those of the API
async function call(method: string, url: string, body?: object): Promise<any> {
  const answer = await fetch(url, {
    method,
    ...(body && { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
  });
  if (!answer.ok) throw new Error(`The demo sandbox could not be made: ${answer.status} ${await answer.text()}`);
  return answer.json();
}

async function stop(code: number): Promise<void> {
  if (stopping) return;
  stopping = true;
  for (const child of children) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill("SIGTERM");
    await once(child, "exit");
  }
  process.exit(code);
}
