import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { appendFile, cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Test } from "tap";
import { operatorPair } from "../../control/certificates/testing/pairs.ts";
import { removeEgress } from "../docker-network.ts";
import { freePorts, type StackPorts } from "./stack.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

export type Ran = { readonly code: number; readonly stdout: string; readonly stderr: string };

/** The operator's machine: a checkout, a certificate, and a resolver that leads every name here. */
export class Machine {
  readonly directory: string;
  readonly ports: StackPorts;
  readonly name = `sandboxd-machine-${process.pid}`;

  private constructor(directory: string, ports: StackPorts) {
    this.directory = directory;
    this.ports = ports;
  }

  static async prepare(t: Test): Promise<Machine> {
    const machine = new Machine(await mkdtemp(join(tmpdir(), "production-")), await freePorts());
    t.teardown(() => machine.#remove());
    const isOurs = (path: string) =>
      !/\/(?:node_modules|\.git|\.tap|\.parts|\.data|\.env|output)(?:\/|$)/.test(path.slice(root.length - 1));
    await cp(root, machine.checkout, { recursive: true, filter: isOurs });
    const { http, https, internal, gateway, gateway2, api } = machine.ports;
    // The ports and names of a machine that others share, as if they were the example's own.
    await appendFile(
      join(machine.checkout, ".env.example"),
      `
COMPOSE_PROJECT_NAME=${machine.name}
SANDBOXD_NETWORK=${machine.name}
SANDBOXD_CONTROL_IMAGE=${machine.name}/control
SANDBOXD_GATEWAY_IMAGE=${machine.name}/gateway
SANDBOXD_DATA_DIR=${machine.data}
SANDBOXD_ENV_DIR=${machine.etc}
HTTP_PORT=${http}
HTTPS_PORT=${https}
EDGE_INTERNAL_BIND=127.0.0.1:${internal}
GATEWAY_BIND=127.0.0.1:${gateway}
GATEWAY_2_BIND=127.0.0.1:${gateway2}
SANDBOXD_API_BIND=127.0.0.1:${api}
`,
    );
    await writeFile(
      join(machine.directory, ".curlrc"),
      `cacert = "${join(machine.directory, "ca.pem")}"
connect-to = "api.preview.example.com:443:127.0.0.1:${https}"
connect-to = "127.0.0.1:9090:127.0.0.1:${api}"
connect-to = "::127.0.0.1:"
`,
    );
    return machine;
  }

  get checkout(): string {
    return join(this.directory, "checkout");
  }
  get data(): string {
    return join(this.directory, "data");
  }
  get etc(): string {
    return join(this.directory, "etc");
  }

  /** A certificate as the operator's tool leaves it. */
  async certify(from: Date): Promise<void> {
    const { chain, key, ca } = await operatorPair("example.com", from);
    await mkdir(join(this.directory, "live"), { recursive: true });
    await writeFile(join(this.directory, "live", "fullchain.pem"), chain);
    await writeFile(join(this.directory, "live", "privkey.pem"), key);
    await this.trust(ca);
  }

  /** What curl trusts from now on. */
  async trust(ca: string): Promise<void> {
    await writeFile(join(this.directory, "ca.pem"), ca);
  }

  sh(script: string, more: NodeJS.ProcessEnv = {}): Promise<Ran> {
    const env = {
      ...more,
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      CURL_HOME: this.directory,
      CERTS: join(this.directory, "live"),
      SANDBOXD_ENV_DIR: this.etc,
      SANDBOXD_DATA_DIR: this.data,
    };
    return new Promise((resolve) => {
      const options = { cwd: this.checkout, env, maxBuffer: 64 * 1024 * 1024 };
      execFile("bash", ["-euo", "pipefail", "-c", script], options, (error, stdout, stderr) => {
        resolve({ code: Number(error?.code ?? 0), stdout, stderr });
      });
    });
  }

  async #remove(): Promise<void> {
    if (existsSync(join(this.checkout, ".env"))) await this.sh("docker compose down --remove-orphans --timeout 20");
    await this.sh(`
      docker ps --all --quiet --filter network=${this.name} | xargs --no-run-if-empty docker rm --force
      docker network ls --quiet --filter 'name=^${this.name}$' | xargs --no-run-if-empty docker network rm
      docker images --quiet '${this.name}/*' | sort -u | xargs --no-run-if-empty docker rmi --force`);
    await removeEgress(this.name);
    await rm(this.directory, { recursive: true, force: true });
  }
}

/** What it printed. Rejects when it failed. */
export async function well(ran: Promise<Ran>): Promise<string> {
  const { code, stdout, stderr } = await ran;
  if (code !== 0) throw new Error(`${code}: ${stdout}${stderr}`);
  return stdout;
}
