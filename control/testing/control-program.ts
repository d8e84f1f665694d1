import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Agent, request } from "undici";

const main = join(import.meta.dirname, "..", "main.ts");

/** One run of control's program. */
export class ControlProgram {
  readonly child: ChildProcess;
  readonly #address: string;
  readonly #agent = new Agent({ pipelining: 0 });

  private constructor(child: ChildProcess, address: string) {
    this.child = child;
    this.#address = address;
  }

  static async start(directory: string): Promise<ControlProgram> {
    const env = {
      PATH: process.env.PATH,
      SANDBOXD_ENV_FILE: join(directory, "none"),
      SANDBOXD_DATA_DIR: directory,
      SANDBOXD_ENGINE: "process",
      SANDBOXD_API_BIND: "127.0.0.1:0",
      SANDBOXD_LOG_LEVEL: "info",
    };
    const child = spawn(process.execPath, [main], { env, stdio: ["ignore", "pipe", "inherit"] });
    const lines: string[] = [];
    for await (const line of createInterface({ input: child.stdout! })) {
      lines.push(line);
      if (line.includes('"listener":"api"')) {
        child.stdout!.resume();
        return new ControlProgram(child, JSON.parse(line).address);
      }
    }
    throw new Error(`control did not come up: ${lines.join(" ")}`);
  }

  async call(
    method: "GET" | "POST" | "DELETE",
    path: string,
    body?: object,
  ): Promise<{ status: number; text: string }> {
    const options = body && { body: JSON.stringify(body), headers: { "content-type": "application/json" } };
    const answer = await request(`http://${this.#address}${path}`, { method, dispatcher: this.#agent, ...options });
    return { status: answer.statusCode, text: await answer.body.text() };
  }

  async list(): Promise<{ id: string; status: string }[]> {
    return JSON.parse((await this.call("GET", "/v1/sandboxes?limit=200")).text).items;
  }

  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  async end(): Promise<void> {
    await this.#end("SIGTERM");
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const ended = once(this.child, "exit");
    this.child.kill(signal);
    await ended;
    await this.#agent.destroy();
  }
}
