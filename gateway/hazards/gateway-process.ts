import { type ChildProcessByStdio, spawn } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import type { Test } from "tap";
import { domain, RawClient, TestControl } from "./test-gateway.ts";

export const needsProc = { skip: process.platform !== "linux" && "finds the workers in /proc" };

type Line = { readonly msg?: string; readonly address?: string; readonly [key: string]: unknown };

/** `node gateway/main.ts` as an operator starts it, with a test control; ends with the test. */
export class GatewayProcess {
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
    const main = join(import.meta.dirname, "..", "main.ts");
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

export const get = (host: string) => `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;

/** Sends requests on connections of their own until this many workers have reported activity; all must be answered. */
export async function expectServedBy(
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
