import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Test } from "tap";
import { ulid } from "ulid";
import { parseSandboxId, type SandboxId } from "#contract/sandbox-id.ts";
import type { EngineEndpoint, EngineEvent, LogLine, SandboxEngine, SandboxSpec } from "./sandbox-engine.ts";
import type { SecretOpener } from "./sealed-environment.ts";

/** What differs between the engines that promise the same. */
export type EngineUnderTest = {
  /** An engine over an empty data directory, closed when the test ends. */
  readonly makeEngine: (t: Test, dataDir: string) => Promise<SandboxEngine>;
  /** How a command of a sandbox calls Node. */
  readonly node: string;
  /** HOME of a sandbox. */
  readonly home: (dataDir: string, id: SandboxId) => string;
  /** The HOST that a sandbox is told. */
  readonly host: string;
  /** How a command that is not there is told: when it is started, or by an init process that finds out. */
  readonly absentCommand: "start_failed" | "exit 127";
  /** Within how long an end must be told, on a busy machine. */
  readonly noticeMs: number;
};

/** What each test of the contract gets. */
export type ContractTest = {
  readonly engine: SandboxEngine;
  readonly dataDir: string;
  readonly events: readonly EngineEvent[];
  /** A specification that runs this program in Node, in a sandbox of its own. */
  readonly spec: (program: string, overrides?: Partial<SandboxSpec>) => SandboxSpec;
  /** Ensures it and starts it. */
  readonly start: (spec: SandboxSpec) => Promise<void>;
};

export type ContractSetup = (t: Test) => Promise<ContractTest>;

/** A server on `PORT` and `HOST` that answers with its environment and pid, and knows a few ways to end. */
export const serverProgram = `
  const server = require("node:http").createServer((request, response) => {
    if (request.url === "/exit") process.exit(7);
    response.end(JSON.stringify({ pid: process.pid, cwd: process.cwd(), env: process.env }));
  });
  server.listen(Number(process.env.PORT), process.env.HOST, () => console.log("listening"));
`;

/** Writes what it counts into its workspace. */
export const counterProgram = `
  const fs = require("node:fs");
  const runs = Number(fs.existsSync("runs") ? fs.readFileSync("runs", "utf8") : 0) + 1;
  fs.writeFileSync("runs", String(runs));
  console.log("run " + runs);
  setInterval(() => {}, 1000);
`;

/** Secrets of tests are sealed by a word before them. */
export const testSecrets: SecretOpener = {
  open: (_, variable, sealed) => {
    if (!sealed.startsWith("sealed ")) throw new Error(`The secret ${variable} is not sealed`);
    return sealed.slice("sealed ".length);
  },
};

/** A fresh engine and data directory for one test; everything is removed when it ends. */
export async function setUp(t: Test, { makeEngine, node }: EngineUnderTest, parent = tmpdir()): Promise<ContractTest> {
  const dataDir = await mkdtemp(join(parent, "engine-"));
  // Teardowns run last in, first out: sandboxes, engine, directory.
  t.teardown(() => rm(dataDir, { recursive: true, force: true }));
  const engine = await makeEngine(t, dataDir);
  const ids = new Set<SandboxId>();
  t.teardown(() => Promise.all([...ids].map((id) => engine.remove(id, { workspace: true }))));
  const events: EngineEvent[] = [];
  engine.watch((event) => events.push(event));
  const spec = (program: string, overrides: Partial<SandboxSpec> = {}): SandboxSpec => {
    const made = { ...anySpec, id: newId(), cmd: [node, "-e", program], ...overrides };
    ids.add(made.id);
    return made;
  };
  const start = async (spec: SandboxSpec) => {
    await engine.ensure(spec);
    await engine.setDesired(spec.id, "running");
  };
  return { engine, dataDir, events, spec, start };
}

export function newId(): SandboxId {
  return parseSandboxId(ulid())!;
}

/** What a specification says when a test does not care; it lacks a command. */
export const anySpec: Omit<SandboxSpec, "id"> = {
  ports: [3000],
  image: null,
  cmd: null,
  env: {},
  sealedEnv: {},
  memoryHighBytes: null,
  memoryMaxBytes: 256 * 1024 * 1024,
  cpu: null,
  runtime: null,
  diskBytes: null,
};

/** The first end that a watch told. */
export function firstEnd(events: readonly EngineEvent[], withinMs?: number): Promise<EngineEvent> {
  return until("the end", () => events.find(({ type }) => type === "ended"), withinMs);
}

/** Looks until there is something, and fails loudly when it does not come in time. */
export async function until<T>(
  what: string,
  look: () => T | Promise<T>,
  withinMs = 30_000,
): Promise<NonNullable<Exclude<T, false>>> {
  const deadline = Date.now() + withinMs;
  for (;;) {
    const found = await look();
    if (found) return found as NonNullable<Exclude<T, false>>;
    if (Date.now() > deadline) throw new Error(`Not within ${withinMs} ms: ${what}`);
    await delay(5);
  }
}

/** The answer of a sandbox's server, as soon as it accepts. */
export async function get(endpoint: EngineEndpoint | undefined, path = "/") {
  const url = `http://${endpoint!.address}:${endpoint!.upstreamPort}${path}`;
  let refusal: unknown;
  // Addresses are recycled, so a connection to the sandbox before must not be used again.
  const ask = () =>
    fetch(url, { headers: { connection: "close" }, signal: AbortSignal.timeout(1_000) }).catch((error) => {
      refusal = error.cause ?? error;
      return undefined;
    });
  const response = await until(`an answer from ${url}`, ask).catch((late) => {
    throw new Error(`${late.message} (${refusal})`);
  });
  return (await response.json()) as { pid: number; cwd: string; env: Record<string, string> };
}

export async function texts(lines: AsyncIterable<LogLine>): Promise<string[]> {
  const all: string[] = [];
  for await (const { line } of lines) all.push(line);
  return all;
}
