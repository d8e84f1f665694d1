/** Sleep and wake under constant load, through a whole gateway and a whole control. */
import { createHash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { type Dispatcher, Pool } from "undici";
import { WebSocket } from "ws";
import type { SandboxId } from "#contract/sandbox-id.ts";
import type { Pair } from "./pair.ts";

export type CyclesReport = {
  readonly cycles: number;
  /** Answered as they should be, by kind of request. */
  readonly answered: Readonly<Record<string, number>>;
  /** How often idle sandboxes went to sleep between two requests. */
  readonly idleStops: number;
  readonly failures: readonly string[];
};

const steady = ["GET", "POST", "slow answer", "upgrade"];
const app = readFileSync(join(import.meta.dirname, "apps", "mixed.js"), "utf8");

/** What of a control and a gateway the cycles need. Idle sandboxes are looked for every second there. */
export type Sleeper = Pick<Pair, "gatewayPort" | "hostOf" | "call" | "create" | "sleep" | "metric">;

export type CyclesOptions = {
  /** How a command of a sandbox calls Node. */
  readonly node?: string;
  readonly note?: (text: string) => void;
};

/**
 * Puts a sandbox to sleep so many times, by stop and by pause in turn, while clients never cease to ask for it, and goes
 * on until the other one has fallen asleep by itself at least once.
 */
export async function runCycles(
  pair: Sleeper,
  cycles: number,
  { node = process.execPath, note = () => {} }: CyclesOptions = {},
): Promise<CyclesReport> {
  const cmd = [node, "-e", app];
  const busy = await pair.create({ cmd });
  // It falls asleep by itself between two requests, about as often as one comes just in time.
  const sparse = await pair.create({ cmd, idle_seconds: 1, sleep_mode: "stop" });
  const load = new Load(pair);
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
    await pair.sleep(busy, cycle % 2 === 0 ? "stop" : "pause");
    await pair.call("GET", `/v1/sandboxes/${busy}?wait=running&timeout_seconds=60`);
    await load.flow();
    idleStops = await pair.metric('sandboxd_stops_total{cause="idle"}');
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
  readonly #sleeper: Sleeper;
  readonly #pool: Pool;
  #ended = false;

  constructor(sleeper: Sleeper) {
    this.#sleeper = sleeper;
    this.#pool = new Pool(`http://127.0.0.1:${sleeper.gatewayPort}`, { connections: 32 });
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
    const { gatewayPort, hostOf } = this.#sleeper;
    const socket = new WebSocket(`ws://127.0.0.1:${gatewayPort}/`, { headers: { host: hostOf(id) } });
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
    const headers = { host: this.#sleeper.hostOf(id) };
    const { statusCode, body } = await this.#pool.request({ ...options, headers });
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
