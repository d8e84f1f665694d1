import { mkdtempSync } from "node:fs";
import { cp, mkdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { ulid } from "ulid";
import { request } from "undici";
import type { Variables } from "#contract/environment.ts";
import { type Child, firstLine, startChild } from "./child.ts";
import { tokenKey } from "./tokens.ts";

/** What is measured: the real control, with the process engine unless the environment names another, and the real gateway with one worker. */
export interface Stack extends AsyncDisposable {
  readonly gateway: { readonly pid: number; readonly port: number };
  /** `host:port` of control's API. */
  readonly api: string;
  readonly dataDirectory: string;
  /** From the start of control's process until it listens, in milliseconds. */
  readonly bootMs: number;
}

export type Sandbox = {
  readonly id: string;
  /** The `Host` of its preview. */
  readonly host: string;
  /** Where its program runs. */
  readonly directory: string;
};

const patienceMs = 20_000;
const root = fileURLToPath(new URL("../", import.meta.url));
const apps = fileURLToPath(new URL("apps/", import.meta.url));

export type StackOptions = {
  readonly profileDirectory?: string | undefined;
  /** Node's own, for the gateway. */
  readonly gatewayFlags?: readonly string[];
  /** What differs from the environment that a stack has anyway. */
  readonly environment?: Variables | undefined;
  /** Puts into the data directory what control shall find there. */
  readonly prepare?: (dataDirectory: string) => void;
};

export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const { profileDirectory, gatewayFlags = [], environment, prepare } = options;
  await using started = new AsyncDisposableStack();
  // Short, since a unix socket is put there.
  const dataDirectory = mkdtempSync(join(tmpdir(), "bench-"));
  started.defer(() => rm(dataDirectory, { recursive: true, force: true }));
  prepare?.(dataDirectory);
  const env = {
    PATH: process.env.PATH,
    SANDBOXD_ENV_FILE: join(dataDirectory, "none"),
    SANDBOXD_DATA_DIR: dataDirectory,
    SANDBOXD_ENGINE: "process",
    SANDBOXD_API_BIND: "127.0.0.1:0",
    GATEWAY_BIND: "127.0.0.1:0",
    GATEWAY_WORKERS: "1",
    SANDBOXD_GATEWAY_DRAIN_SECONDS: "0",
    // Every wake is waited for: a slow machine shall be slow, not show a page.
    SANDBOXD_HOLD_NAVIGATION_MS: "60000",
    SANDBOXD_PREVIEW_TOKEN_SECRETS: `${tokenKey.kid}=${tokenKey.secret}`,
    ...environment,
  };
  const profiling = profileDirectory === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profileDirectory}`];
  const program = [...profiling, ...gatewayFlags, join(root, "gateway", "main.ts")];
  const gateway = started.use(startChild(process.execPath, program, { env }));
  const preview = await listening(gateway, "preview");
  // An edge in front of the gateway cannot be told port 0.
  const controlEnv = { ...env, SANDBOXD_GATEWAY_URL: `http://${preview}` };
  const begun = performance.now();
  const control = started.use(startChild(process.execPath, [join(root, "control", "main.ts")], { env: controlEnv }));
  const api = await listening(control, "api");
  const bootMs = performance.now() - begun;
  const all = started.move();
  return {
    gateway: { pid: gateway.pid, port: Number(preview.slice(preview.lastIndexOf(":") + 1)) },
    api,
    dataDirectory,
    bootMs,
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

/** Makes a sandbox that runs one of the folders in `apps/`. */
export async function createSandbox(
  stack: Stack,
  app: string,
  cmd: readonly string[],
  visibility: "public" | "private" = "public",
): Promise<Sandbox> {
  const id = ulid();
  const directory = workspaceOf(stack, id);
  await mkdir(directory, { recursive: true });
  await cp(join(apps, app), directory, { recursive: true });
  return await create(stack, { id, cmd, visibility });
}

/** Makes a sandbox that runs this command, in a workspace that the engine makes. */
export async function createCommand(stack: Stack, cmd: readonly string[]): Promise<Sandbox> {
  return await create(stack, { id: ulid(), cmd, visibility: "public" });
}

async function create(
  stack: Stack,
  sandbox: { readonly id: string; readonly cmd: readonly string[]; readonly visibility: "public" | "private" },
): Promise<Sandbox> {
  const made = (await callApi(stack, "POST", "/v1/sandboxes", { ports: [3000], ...sandbox })) as {
    previews: [{ url: string }];
  };
  const directory = workspaceOf(stack, sandbox.id);
  return { id: sandbox.id, host: new URL(made.previews[0].url).host, directory };
}

/** Where a sandbox's app really listens, once it has left that in the file `port`. */
export async function appPort({ directory }: Sandbox): Promise<number> {
  const until = Date.now() + patienceMs;
  for (;;) {
    const text = await readFile(join(directory, "port"), "utf8").catch(() => "");
    if (text !== "") return Number(text);
    if (Date.now() > until) throw new Error(`the app in ${directory} does not start`);
    await delay(20);
  }
}

/** How often a sandbox that runs `apps/starts` has started. */
export async function countStarts({ directory }: Sandbox): Promise<number> {
  return (await readFile(join(directory, "starts"), "utf8")).split("\n").length - 1;
}

/** Puts a sandbox to sleep, whatever it does. */
export async function sleepSandbox(stack: Stack, { id }: Sandbox, mode: "stop" | "pause"): Promise<void> {
  await callApi(stack, "POST", `/v1/sandboxes/${id}/stop`, { mode, drain_seconds: 1 });
}

/** Resolves when the sandbox's port answers. Throws when it does not within two minutes. */
export async function wakeSandbox(stack: Stack, { id }: Sandbox): Promise<void> {
  await callApi(stack, "POST", `/v1/sandboxes/${id}/wake?wait=port&port=3000&timeout_seconds=120`, {});
}

/** The sum of one of control's counters over its labels. */
export async function readCounter({ api }: Stack, name: string): Promise<number> {
  const { body } = await request(`http://${api}/metrics`);
  const lines = (await body.text()).split("\n").filter((line) => line.startsWith(name));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
}

function workspaceOf({ dataDirectory }: Stack, id: string): string {
  return join(dataDirectory, "workspaces", id, "workspace", "app");
}

async function callApi({ api }: Stack, method: "POST", path: string, sent: object): Promise<unknown> {
  const answer = await request(`http://${api}${path}`, {
    method,
    headers: { "content-type": "application/json" },
    body: JSON.stringify(sent),
  });
  const text = await answer.body.text();
  if (answer.statusCode >= 300) throw new Error(`${method} ${path}: ${answer.statusCode} ${text}`);
  return JSON.parse(text);
}

function listening(child: Child, listener: string): Promise<string> {
  return firstLine(child, (line) => {
    const entry = JSON.parse(line) as { msg?: string; listener?: string; address?: string };
    return entry.msg === "listening" && entry.listener === listener ? entry.address : undefined;
  });
}
