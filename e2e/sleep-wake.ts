/** Sleep and wake under constant load, through a whole gateway and a whole control on the process engine. */
import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { pino } from "pino";
import { type Dispatcher, Pool, request } from "undici";
import { WebSocket } from "ws";
import { formatPreviewHost } from "#contract/preview-host.ts";
import type { SandboxId } from "#contract/sandbox-id.ts";
import { readConfig as readControlConfig } from "../control/config.ts";
import { openControlPlane } from "../control/control-plane.ts";
import { readConfig as readGatewayConfig } from "../gateway/config.ts";
import { openGateway } from "../gateway/gateway.ts";

export type CyclesReport = {
  readonly cycles: number;
  /** Answered as they should be, by kind of request. */
  readonly answered: Readonly<Record<string, number>>;
  /** How often idle sandboxes went to sleep between two requests. */
  readonly idleStops: number;
  readonly failures: readonly string[];
};

const steady = ["GET", "POST", "slow answer", "upgrade"];
const domain = "load.test";
const port = 3000;
const silent = pino({ level: "silent" });
const ws = fileURLToPath(import.meta.resolve("ws"));

/** Answers at once, late, with a digest of a body, and on a socket. */
const app = `
  const { createHash } = require("node:crypto");
  const { WebSocketServer } = require(${JSON.stringify(ws)});
  const server = require("node:http").createServer((request, response) => {
    if (request.url === "/slow") {
      response.write("first ");
      return setTimeout(() => response.end("last"), 150);
    }
    if (request.method !== "POST") return response.end("hello");
    const hash = createHash("sha256");
    request.on("data", (chunk) => hash.update(chunk)).on("end", () => response.end(hash.digest("hex")));
  });
  new WebSocketServer({ server }).on("connection", (socket) => socket.on("message", (text) => socket.send(String(text))));
  server.listen(Number(process.env.PORT), process.env.HOST);
`;

/**
 * Puts a sandbox to sleep so many times, by stop and by pause in turn, while clients never cease to ask for it, and goes
 * on until the other one has fallen asleep by itself at least once.
 */
export async function runCycles(cycles: number, note: (text: string) => void = () => {}): Promise<CyclesReport> {
  await using stack = await openStack();
  const busy = await stack.create({});
  // It falls asleep by itself between two requests, about as often as one comes just in time.
  const sparse = await stack.create({ idle_seconds: 1, sleep_mode: "stop" });
  const load = new Load(stack.gatewayPort);
  const clients = [
    ...Array.from({ length: 4 }, () => load.keep("GET", () => load.get(busy))),
    ...Array.from({ length: 3 }, () => load.keep("POST", () => load.post(busy))),
    ...Array.from({ length: 3 }, () => load.keep("slow answer", () => load.slow(busy))),
    ...Array.from({ length: 2 }, () => load.keep("upgrade", () => load.socket(busy))),
    load.keep("sparse POST", () => load.sparse(sparse)),
  ];
  let idleStops = 0;
  let cycle = 0;
  for (; cycle < cycles || (idleStops === 0 && load.failures.length === 0); cycle++) {
    await stack.sleep(busy, cycle % 2 === 0 ? "stop" : "pause");
    await stack.awake(busy);
    await load.flow();
    idleStops = await stack.idleStops();
    if (cycle % 20 === 19) note(`${cycle + 1} cycles, ${load.failures.length} failures`);
  }
  load.end();
  await Promise.all(clients);
  await load.close();
  return { cycles: cycle, answered: load.answered, idleStops, failures: load.failures };
}

/** Clients that ask again and again, and check every answer. */
class Load {
  readonly answered: Record<string, number> = {};
  readonly failures: string[] = [];
  readonly #port: number;
  readonly #pool: Pool;
  #ended = false;

  constructor(gatewayPort: number) {
    this.#port = gatewayPort;
    this.#pool = new Pool(`http://127.0.0.1:${gatewayPort}`, { connections: 32 });
  }

  async keep(kind: string, once: () => Promise<void>): Promise<void> {
    this.answered[kind] = 0;
    while (!this.#ended) {
      try {
        await once();
        this.answered[kind]++;
      } catch (error) {
        this.failures.push(`${kind}: ${(error as Error).message}`);
      }
      await delay(5);
    }
  }

  /** Resolves in the middle of things, some time after every kind of request was answered anew. */
  async flow(): Promise<void> {
    const before = { ...this.answered };
    const isFlowing = () => steady.every((kind) => this.answered[kind]! > before[kind]!);
    while (!isFlowing() && this.failures.length === 0) await delay(5);
    await delay(Math.random() * 100);
  }

  async get(id: SandboxId): Promise<void> {
    equal(await this.#ask(id, { method: "GET", path: "/" }), "hello");
  }

  async slow(id: SandboxId): Promise<void> {
    equal(await this.#ask(id, { method: "GET", path: "/slow" }), "first last");
  }

  async post(id: SandboxId): Promise<void> {
    const parts = Array.from({ length: 4 }, () => randomBytes(16 * 1024));
    const digest = createHash("sha256").update(Buffer.concat(parts)).digest("hex");
    equal(await this.#ask(id, { method: "POST", path: "/", body: Readable.from(slowly(parts)) }), digest);
  }

  async sparse(id: SandboxId): Promise<void> {
    await this.post(id);
    await delay(900 + Math.random() * 1200);
  }

  socket(id: SandboxId): Promise<void> {
    const socket = new WebSocket(`ws://127.0.0.1:${this.#port}/`, { headers: { host: hostOf(id) } });
    return new Promise((resolve, reject) => {
      let echoes = 0;
      socket.on("open", () => socket.send("0"));
      socket.on("message", (text) => {
        if (String(text) !== String(echoes)) reject(new Error(`an echo of ${text} in place of ${echoes}`));
        if (++echoes < 5) setTimeout(() => socket.send(String(echoes)), 20);
        else socket.close(1000);
      });
      socket.on("close", (code) => (code === 1000 ? resolve() : reject(new Error(`closed with ${code}`))));
      socket.on("error", reject);
    });
  }

  end(): void {
    this.#ended = true;
  }

  close(): Promise<void> {
    return this.#pool.close();
  }

  async #ask(id: SandboxId, options: Pick<Dispatcher.RequestOptions, "method" | "path" | "body">): Promise<string> {
    const { statusCode, body } = await this.#pool.request({ ...options, headers: { host: hostOf(id) } });
    const text = await body.text();
    if (statusCode !== 200) throw new Error(`${statusCode} ${text.slice(0, 200)}`);
    return text;
  }
}

function equal(actual: string, expected: string): void {
  if (actual !== expected) throw new Error(`${actual.slice(0, 100)} in place of ${expected}`);
}

async function* slowly(parts: readonly Buffer[]): AsyncGenerator<Buffer> {
  for (const part of parts) {
    yield part;
    await delay(5);
  }
}

function hostOf(id: SandboxId): string {
  return formatPreviewHost(id, port, domain);
}

async function openStack() {
  const opened = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), "sleep-wake-"));
  opened.defer(() => rm(directory, { recursive: true, force: true }));
  const variables = {
    PATH: process.env.PATH,
    PREVIEW_DOMAIN: domain,
    SANDBOXD_DATA_DIR: directory,
    SANDBOXD_ENV_FILE: join(directory, "none"),
    SANDBOXD_ENGINE: "process",
    SANDBOXD_API_BIND: "127.0.0.1:0",
    SANDBOXD_IDLE_REAP_INTERVAL_SECONDS: "1",
    SANDBOXD_ACTIVITY_FLUSH_MS: "100",
    GATEWAY_BIND: "127.0.0.1:0",
  };
  const plane = opened.use(await openControlPlane(readControlConfig(variables), silent));
  const gateway = opened.use(await openGateway(readGatewayConfig(variables), silent));
  const call = async (method: "GET" | "POST", path: string, body?: object) => {
    const options = body && { body: JSON.stringify(body), headers: { "content-type": "application/json" } };
    const answer = await request(`http://${plane.address}${path}`, { method, ...options });
    const text = await answer.body.text();
    if (answer.statusCode >= 300) throw new Error(`${method} ${path}: ${answer.statusCode} ${text}`);
    return text;
  };
  return {
    gatewayPort: gateway.address.port,
    create: async (more: object): Promise<SandboxId> => {
      const body = { ports: [port], cmd: [process.execPath, "-e", app], ...more };
      return JSON.parse(await call("POST", "/v1/sandboxes", body)).id;
    },
    sleep: (id: SandboxId, mode: "stop" | "pause") =>
      call("POST", `/v1/sandboxes/${id}/stop`, { mode, drain_seconds: 30 }),
    awake: (id: SandboxId) => call("GET", `/v1/sandboxes/${id}?wait=running&timeout_seconds=60`),
    idleStops: async () => {
      const metrics = await call("GET", "/metrics");
      return Number(/^sandboxd_stops_total\{cause="idle"\} ([0-9]+)$/m.exec(metrics)?.[1] ?? 0);
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}
