import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Test } from "tap";
import { removeEgress } from "../docker-network.ts";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../../", import.meta.url));

/** The project under a name, a data directory, a network and ports of its own. */
export class ComposeStack {
  readonly name = `sandboxd-compose-${process.pid}`;
  readonly directory: string;
  readonly ports: StackPorts;
  readonly token = "e2e-secret";

  readonly #more: Readonly<Record<string, string>>;

  private constructor(directory: string, ports: StackPorts, more: Readonly<Record<string, string>>) {
    this.directory = directory;
    this.ports = ports;
    this.#more = more;
  }

  /** Nothing runs yet. Everything that will is taken down with the test. Variables given here win over the stack's. */
  static async prepare(t: Test, variables: Readonly<Record<string, string>> = {}): Promise<ComposeStack> {
    const directory = await mkdtemp(join(tmpdir(), "sandboxd-compose-"));
    const stack = new ComposeStack(directory, await freePorts(), variables);
    t.teardown(() => stack.#remove());
    return stack;
  }

  /** Runs `docker compose` and answers its output. Variables given here win over the stack's. */
  async compose(command: string[], variables: Record<string, string> = {}): Promise<string> {
    // As an operator begins: with the example untouched, where there is one.
    const example = join(root, ".env.example");
    const file = existsSync(example) ? example : "/dev/null";
    const env = { PATH: process.env.PATH, HOME: process.env.HOME, ...this.#variables(), ...variables };
    const { stdout } = await run("docker", ["compose", "--env-file", file, ...command], { cwd: root, env, ...large });
    return stdout;
  }

  /** Runs `docker` and answers the lines of its output. */
  async docker(...command: string[]): Promise<string[]> {
    const { stdout } = await run("docker", command, large);
    return stdout.split("\n").filter((line) => line !== "");
  }

  /** The authority to trust. */
  ca(): Promise<string> {
    return readFile(join(this.directory, "data", "certificates", "ca.pem"), "utf8");
  }

  /** Calls the API as the operator does. */
  api(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = { "content-type": "application/json" };
    return fetch(`http://127.0.0.1:${this.ports.api}${path}`, { ...init, headers });
  }

  #variables(): Record<string, string> {
    const { http, https, internal, gateway, gateway2, api } = this.ports;
    return {
      COMPOSE_PROJECT_NAME: this.name,
      PREVIEW_DOMAIN: "localhost",
      PREVIEW_ENTRYPOINT: "websecure",
      PREVIEW_TLS: "true",
      HTTP_PORT: String(http),
      HTTPS_PORT: String(https),
      EDGE_INTERNAL_BIND: `127.0.0.1:${internal}`,
      GATEWAY_BIND: `127.0.0.1:${gateway}`,
      GATEWAY_2_BIND: `127.0.0.1:${gateway2}`,
      // Of its own as well: others may build from another checkout meanwhile.
      SANDBOXD_CONTROL_IMAGE: `${this.name}/control`,
      SANDBOXD_GATEWAY_IMAGE: `${this.name}/gateway`,
      SANDBOXD_API_BIND: `127.0.0.1:${api}`,
      SANDBOXD_API_AUTH_DISABLED: "false",
      SANDBOXD_API_TOKENS: `e2e:${this.token}`,
      SANDBOXD_DATA_DIR: join(this.directory, "data"),
      SANDBOXD_ENV_DIR: join(this.directory, "etc"),
      SANDBOXD_NETWORK: this.name,
      ...this.#more,
    };
  }

  async #remove(): Promise<void> {
    // Sandboxes outlive the stack, as they should.
    await this.compose(["down", "--remove-orphans", "--timeout", "20"]);
    const images = await this.docker("images", "--quiet", `${this.name}/*`);
    if (images.length > 0) await this.docker("rmi", "--force", ...new Set(images));
    const sandboxes = await this.docker("ps", "--all", "--quiet", "--filter", `network=${this.name}`);
    if (sandboxes.length > 0) await this.docker("rm", "--force", ...sandboxes);
    const networks = await this.docker("network", "ls", "--quiet", "--filter", `name=^${this.name}$`);
    if (networks.length > 0) await this.docker("network", "rm", ...networks);
    await removeEgress(this.name);
    await rm(this.directory, { recursive: true, force: true });
  }
}

const large = { maxBuffer: 64 * 1024 * 1024 };
const portNames = ["http", "https", "internal", "gateway", "gateway2", "api"] as const;
export type StackPorts = Readonly<Record<(typeof portNames)[number], number>>;

/** Below the ephemeral range, where no port 0 can come to lie. */
export async function freePorts(): Promise<StackPorts> {
  const ports = new Set<number>();
  while (ports.size < portNames.length) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    if (await isFree(port)) ports.add(port);
  }
  return Object.fromEntries(portNames.map((name, index) => [name, [...ports][index]!])) as StackPorts;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((answer) => {
    const server = createServer();
    server.once("error", () => answer(false));
    server.listen(port, () => server.close(() => answer(true)));
  });
}
