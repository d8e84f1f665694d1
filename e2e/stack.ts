import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Test } from "tap";
import { startTraefik, type Traefik } from "../control/certificates/testing/traefik.ts";

const root = join(import.meta.dirname, "..");

/** A running stack as its users see it. */
export type Stack = {
  readonly directory: string;
  readonly domain: string;
  /** Of the API on loopback, `host:port`. */
  readonly api: string;
  readonly httpsPort: number;
  readonly caFile: string;
};

/** One of our processes: its log, and its end. */
export class Program {
  readonly child: ChildProcess;
  readonly lines: string[] = [];
  #more = Promise.withResolvers<void>();
  readonly #listening = new Map<string, PromiseWithResolvers<string>>();

  /** The prefix stands before its command, such as a namespace's. */
  constructor(t: Test, name: "control" | "gateway", env: NodeJS.ProcessEnv, prefix: readonly string[] = []) {
    const [program = "", ...args] = [...prefix, process.execPath, join(root, name, "main.ts")];
    this.child = spawn(program, args, {
      env: { PATH: process.env.PATH, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [this.child.stdout!, this.child.stderr!]) {
      createInterface({ input: stream }).on("line", (line) => this.#take(line));
    }
    this.child.once("exit", (code) => {
      for (const { reject } of this.#listening.values())
        reject(new Error(`${name} ended (${code}):\n${this.lines.join("\n")}`));
    });
    t.teardown(() => this.stop());
  }

  /** The address of a listener, when it listens. */
  listening(listener: string): Promise<string> {
    return this.#slot(listener).promise;
  }

  /** Resolves when it has said one more line. */
  more(): Promise<void> {
    return this.#more.promise;
  }

  /** Ends it as an operator does; resolves with its exit code. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<number | null> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      this.child.kill(signal);
      await once(this.child, "exit");
    }
    return this.child.exitCode;
  }

  #take(line: string): void {
    this.lines.push(line);
    this.#more.resolve();
    this.#more = Promise.withResolvers();
    if (!line.includes('"msg":"listening"')) return;
    const { listener, address, path } = JSON.parse(line);
    this.#slot(listener).resolve(address ?? path);
  }

  #slot(listener: string): PromiseWithResolvers<string> {
    let slot = this.#listening.get(listener);
    if (slot === undefined) {
      slot = Promise.withResolvers<string>();
      slot.promise.catch(() => {});
      this.#listening.set(listener, slot);
    }
    return slot;
  }
}

/** Traefik with TLS before a gateway and a control, each started by hand, all on loopback at free ports. */
export async function startStack(
  t: Test,
  variables: NodeJS.ProcessEnv,
): Promise<Stack & { control: Program; gateway: Program; gatewayAddress: string; traefik: Traefik }> {
  const directory = await mkdtemp(join(tmpdir(), "sandboxd-e2e-"));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  const domain = "sandboxes.test";
  const data = join(directory, "data");
  const dynamic = join(data, "traefik", "dynamic");
  const shared = {
    PREVIEW_DOMAIN: domain,
    SANDBOXD_DATA_DIR: data,
    SANDBOXD_ENV_FILE: join(directory, "none"),
    ...variables,
  };
  const gateway = new Program(t, "gateway", { ...shared, GATEWAY_BIND: "127.0.0.1:0", GATEWAY_WORKERS: "2" });
  const upstream = await gateway.listening("preview");
  // Traefik watches only what is there when it starts.
  await mkdir(dynamic, { recursive: true });
  const traefik = await startTraefik(t, directory, dynamic);
  const control = new Program(t, "control", {
    ...shared,
    PREVIEW_TLS: "true",
    PREVIEW_ENTRYPOINT: "websecure",
    HTTPS_PORT: String(traefik.websecure),
    SANDBOXD_API_BIND: "127.0.0.1:0",
    SANDBOXD_GATEWAY_URL: `http://${upstream}`,
    SANDBOXD_TRAEFIK_DYNAMIC_DIR: dynamic,
  });
  const api = await control.listening("api");
  const caFile = join(data, "certificates", "ca.pem");
  const { websecure: httpsPort } = traefik;
  return { directory, domain, api, httpsPort, caFile, control, gateway, gatewayAddress: upstream, traefik };
}
