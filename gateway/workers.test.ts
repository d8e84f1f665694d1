import { type ChildProcessByStdio, spawn } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import t, { type Test } from "tap";
import {
  answering,
  domain,
  eventually,
  newId,
  RawClient,
  routeTo,
  startApp,
  TestControl,
} from "./hazards/test-gateway.ts";

const needsProc = { skip: process.platform !== "linux" && "finds the workers in /proc" };

type Line = { readonly msg?: string; readonly address?: string; readonly [key: string]: unknown };

/** `node gateway/main.ts` as an operator starts it, with a test control; ends with the test. */
class GatewayProcess {
  readonly control: TestControl;
  readonly #child: ChildProcessByStdio<null, Readable, Readable>;
  readonly #output = new EventEmitter();
  stdout = "";
  stderr = "";

  private constructor(directory: string, control: TestControl, variables: Readonly<Record<string, string>>) {
    this.control = control;
    const env = {
      PATH: process.env.PATH,
      GATEWAY_BIND: "127.0.0.1:0",
      GATEWAY_WORKERS: "2",
      PREVIEW_DOMAIN: domain,
      SANDBOXD_DATA_DIR: directory,
      SANDBOXD_CONTROL_SOCKET: control.socketPath,
      SANDBOXD_ENV_FILE: join(directory, "none"),
      SANDBOXD_ACTIVITY_FLUSH_MS: "20",
      ...variables,
    };
    const main = join(import.meta.dirname, "main.ts");
    this.#child = spawn(process.execPath, [main], { env, stdio: ["ignore", "pipe", "pipe"] });
    for (const name of ["stdout", "stderr"] as const) {
      this.#child[name].setEncoding("utf8").on("data", (chunk) => {
        this[name] += chunk;
        this.#output.emit("more");
      });
    }
  }

  static async start(t: Test, variables: Readonly<Record<string, string>> = {}): Promise<GatewayProcess> {
    const directory = mkdtempSync(join(tmpdir(), "gateway-"));
    const control = new TestControl(directory);
    await control.start();
    const gateway = new GatewayProcess(directory, control, variables);
    const ended = gateway.ended();
    t.teardown(async () => {
      gateway.signal("SIGKILL");
      await ended;
      await control.stop();
      rmSync(directory, { recursive: true, force: true });
    });
    return gateway;
  }

  get lines(): Line[] {
    return this.stdout
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line));
  }

  /** The port that the one "listening" line names. */
  async listening(): Promise<number> {
    const line = () => this.lines.find(({ msg }) => msg === "listening");
    while (line() === undefined) await once(this.#output, "more", { signal: AbortSignal.timeout(20_000) });
    return Number(/^127\.0\.0\.1:(\d+)$/.exec(line()!.address!)![1]);
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Resolves with the exit code, when all output has come. */
  async ended(): Promise<number | null> {
    const [code] = await once(this.#child, "close");
    return code;
  }

  /** The process ids of the workers, which are children of the main process. */
  get workers(): number[] {
    const { pid } = this.#child;
    return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean).map(Number);
  }

  /** The ids under which workers have told control of themselves. */
  get workerIds(): Set<string> {
    return new Set(this.control.watches.map((query) => query.get("worker")!));
  }
}

const get = (host: string) => `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;

async function okApp(t: Test): Promise<number> {
  return await startApp(
    t,
    answering(() => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
  );
}

/** Sends requests on connections of their own until this many workers have reported activity; all must be answered. */
async function expectServedBy(
  t: Test,
  gateway: GatewayProcess,
  port: number,
  host: string,
  ids: number,
): Promise<void> {
  const before = gateway.control.reports.length;
  const busy = () => {
    const reports = gateway.control.reports.slice(before).filter(({ sandboxes }) => sandboxes.length > 0);
    return new Set(reports.map(({ worker }) => worker)).size;
  };
  const deadline = Date.now() + 10_000;
  while (busy() < ids && Date.now() < deadline) {
    const text = await new RawClient(port).send(get(host)).whole();
    if (!text.startsWith("HTTP/1.1 200 OK\r\n")) return void t.fail(text);
  }
  t.equal(busy(), ids, `${ids} workers serve`);
}

t.test("superviseWorkers() says once where all of its workers listen, and each of them serves", async (t) => {
  const gateway = await GatewayProcess.start(t);
  const route = routeTo(newId(), await okApp(t));
  gateway.control.publish(route);
  const port = await gateway.listening();
  const host = `s-${route.id.toLowerCase()}-3000.preview.${domain}`;
  await expectServedBy(t, gateway, port, host, 2);
  t.equal(gateway.lines.filter(({ msg }) => msg === "listening").length, 1);
  t.match(
    gateway.lines.find(({ msg }) => msg === "listening"),
    { listener: "preview", address: `127.0.0.1:${port}` },
  );
  t.equal(gateway.workerIds.size, 2, "each under an id of its own");
  const ended = gateway.ended();
  gateway.signal("SIGTERM");
  t.equal(await ended, 0);
  t.equal(gateway.stderr, "");
});

t.test("superviseWorkers() replaces a worker that was killed, and serves meanwhile", needsProc, async (t) => {
  const gateway = await GatewayProcess.start(t);
  const route = routeTo(newId(), await okApp(t));
  gateway.control.publish(route);
  const port = await gateway.listening();
  const host = `s-${route.id.toLowerCase()}-3000.preview.${domain}`;
  const [first] = gateway.workers;
  process.kill(first!, "SIGKILL");
  await eventually(() => !gateway.workers.includes(first!), "it is gone");
  t.match(await new RawClient(port).send(get(host)).whole(), /^HTTP\/1\.1 200 OK\r\n/);
  await eventually(() => gateway.workerIds.size === 3, "another one watches the routes");
  await expectServedBy(t, gateway, port, host, 2);
  t.equal(gateway.lines.filter(({ msg }) => msg === "listening").length, 1, "whoever waits for it is told once");
  t.ok(gateway.lines.some(({ msg, signal }) => /worker ended/.test(msg ?? "") && signal === "SIGKILL"));
  const ended = gateway.ended();
  gateway.signal("SIGTERM");
  t.equal(await ended, 0);
});

t.test("superviseWorkers() ends cleanly when no worker is left to wait for", needsProc, async (t) => {
  const gateway = await GatewayProcess.start(t);
  await gateway.listening();
  for (const pid of gateway.workers) process.kill(pid, "SIGKILL");
  await eventually(() => gateway.lines.filter(({ level }) => level === 50).length === 2, "both are missed");
  const ended = gateway.ended();
  gateway.signal("SIGTERM");
  t.equal(await ended, 0);
});

t.test("SIGTERM and SIGINT let what is under way end, with one worker and with two", async (t) => {
  for (const [workers, signal] of [
    ["1", "SIGTERM"],
    ["2", "SIGINT"],
  ] as const) {
    const gateway = await GatewayProcess.start(t, { GATEWAY_WORKERS: workers });
    const reached = Promise.withResolvers<() => void>();
    const app = await startApp(
      t,
      answering(
        (_, socket) => void reached.resolve(() => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")),
      ),
    );
    const route = routeTo(newId(), app);
    gateway.control.publish(route);
    const port = await gateway.listening();
    const client = new RawClient(port).send(get(`s-${route.id.toLowerCase()}-3000.preview.${domain}`));
    const finish = await reached.promise;
    const ended = gateway.ended();
    gateway.signal(signal);
    finish();
    t.match(await client.whole(), /^HTTP\/1\.1 200 OK\r\n[\s\S]*ok$/);
    t.equal(await ended, 0, `${signal} to ${workers}`);
  }
});

t.test("SIGHUP is not the gateway's", async (t) => {
  const gateway = await GatewayProcess.start(t, { GATEWAY_WORKERS: "1" });
  await gateway.listening();
  const ended = gateway.ended();
  gateway.signal("SIGHUP");
  gateway.signal("SIGTERM");
  t.equal(await ended, 0);
});

t.test("main() names every bad variable, one a line, and exits with 2", async (t) => {
  const bad = {
    GATEWAY_BIND: "nowhere",
    GATEWAY_WORKERS: "0",
    SANDBOXD_HOLD_SECONDS: "1m",
    TRUSTED_PROXIES: "10.0.0.0/40",
  };
  const gateway = await GatewayProcess.start(t, bad);
  t.equal(await gateway.ended(), 2);
  t.strictSame(
    gateway.stderr
      .trimEnd()
      .split("\n")
      .map((line) => line.split(":", 1)[0])
      .sort(),
    Object.keys(bad).map((name) => `Cannot parse ${name}`),
  );
  t.equal(gateway.stdout, "");
});

t.test("main() says in one line that the port is taken, and exits with 1", async (t) => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => server.close());
  const address = `127.0.0.1:${(server.address() as { port: number }).port}`;
  for (const workers of ["1", "2"]) {
    const gateway = await GatewayProcess.start(t, { GATEWAY_BIND: address, GATEWAY_WORKERS: workers });
    t.equal(await gateway.ended(), 1, `${workers} workers`);
    t.match(gateway.stderr, /^[^\n]*\n$/, "one line");
    t.match(gateway.stderr, "GATEWAY_BIND");
    t.match(gateway.stderr, address);
  }
});

t.test("main() says in one line that an address is not this machine's, and exits with 1", async (t) => {
  // Nobody has an address of the documentation's (RFC 5737).
  for (const workers of ["1", "2"]) {
    const gateway = await GatewayProcess.start(t, { GATEWAY_BIND: "192.0.2.1:0", GATEWAY_WORKERS: workers });
    t.equal(await gateway.ended(), 1, `${workers} workers`);
    t.match(gateway.stderr, /^Cannot listen on 192\.0\.2\.1:0: [^\n]* Change GATEWAY_BIND\.\n$/);
  }
});
