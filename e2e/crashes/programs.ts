import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Agent, request } from "undici";
import type { Variables } from "#contract/environment.ts";

const running = new Set<ChildProcess>();
// Whatever ends this program ends them: control ends its processes then.
process.on("exit", () => {
  for (const child of running) child.kill("SIGTERM");
});

const root = join(import.meta.dirname, "..", "..");

/** One run of one of our programs. */
export class Program {
  readonly address: string;
  protected readonly child: ChildProcess;

  protected constructor(child: ChildProcess, address: string) {
    this.child = child;
    this.address = address;
  }

  kill(): Promise<void> {
    return this.#end("SIGKILL");
  }

  end(): Promise<void> {
    return this.#end("SIGTERM");
  }

  /** Stops it where it is, until `resume()`. */
  freeze(): void {
    this.child.kill("SIGSTOP");
  }

  resume(): void {
    this.child.kill("SIGCONT");
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = once(this.child, "exit");
    this.child.kill(signal);
    await ended;
  }
}

/** Resolves with the program and the address that it names for this listener. */
async function start(name: "control" | "gateway", listener: string, env: Variables): Promise<[ChildProcess, string]> {
  const main = join(root, name, "main.ts");
  const child = spawn(process.execPath, [main], { env: { ...env }, stdio: ["ignore", "pipe", "inherit"] });
  running.add(child);
  child.once("exit", () => running.delete(child));
  const lines: string[] = [];
  for await (const line of createInterface({ input: child.stdout! })) {
    lines.push(line);
    if (!line.includes(`"listener":"${listener}"`)) continue;
    child.stdout!.resume();
    return [child, JSON.parse(line).address];
  }
  throw new Error(`${name} did not come up: ${lines.join(" ")}`);
}

export class ControlProgram extends Program {
  readonly #agent = new Agent({ pipelining: 0 });

  static async start(env: Variables): Promise<ControlProgram> {
    return new ControlProgram(...(await start("control", "api", env)));
  }

  async call(
    method: "GET" | "POST" | "DELETE",
    path: string,
    body?: object,
  ): Promise<{ status: number; text: string }> {
    const options = body && { body: JSON.stringify(body), headers: { "content-type": "application/json" } };
    const answer = await request(`http://${this.address}${path}`, { method, dispatcher: this.#agent, ...options });
    return { status: answer.statusCode, text: await answer.body.text() };
  }

  async list(): Promise<{ id: string; status: string }[]> {
    return JSON.parse((await this.call("GET", "/v1/sandboxes?limit=200")).text).items;
  }
}

export class GatewayProgram extends Program {
  static async start(env: Variables): Promise<GatewayProgram> {
    return new GatewayProgram(...(await start("gateway", "preview", env)));
  }

  /** Its workers, out of the process table. */
  get workers(): readonly number[] {
    const { pid } = this.child;
    return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean).map(Number);
  }
}
