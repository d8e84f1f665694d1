import { mkdtempSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { haproxyBinary, nginxBinary } from "../../e2e/parts/parts.ts";
import { type Child, firstLine, startChild, untilListening } from "../child.ts";
import type { Sandbox, Stack } from "../stack.ts";
import { haproxyConfiguration } from "./haproxy.ts";
import { nginxConfiguration } from "./nginx.ts";

/** A proxy in front of one app, with one thread for its work. */
export type Contender = {
  readonly name: string;
  /** Its CPU counts, and that of its children. */
  readonly pid: number;
  readonly port: number;
  /** What to send as `Host`. */
  readonly host: string;
  /** Further processes that do its work: their CPU counts too. */
  readonly others?: readonly number[];
  /** Sent with every request. */
  readonly headers?: Readonly<Record<string, string>>;
  /** It is spoken to over TLS, with a certificate of the authority that this PEM is. */
  readonly authority?: string;
  /** It spells paths its own way before it passes them on, as Traefik does. */
  readonly respellsPaths?: boolean;
};

export type OwnContender = Contender & AsyncDisposable;

/** The gateway of a stack as a proxy in front of one of its sandboxes. */
export function gatewayContender({ gateway }: Stack, { host }: Sandbox): Contender {
  return { name: "sandboxd", pid: gateway.pid, port: gateway.port, host };
}

/** Starts one of our programs, which takes the app's port and prints its own. */
export async function startNodeContender(name: "http-proxy" | "undici", appPort: number): Promise<OwnContender> {
  const program = fileURLToPath(new URL(`${name}.ts`, import.meta.url));
  const env = { ...process.env, NODE_NO_WARNINGS: "1" };
  const child = startChild(process.execPath, [program, String(appPort)], { env });
  const port = await firstLine(child, Number);
  return contender(name, child, port, async () => await child[Symbol.asyncDispose]());
}

export async function startNginx(appPort: number): Promise<OwnContender> {
  const port = await freePort();
  return await startConfigured("nginx", port, nginxConfiguration(port, appPort), (directory) => [
    nginxBinary,
    ["-p", directory, "-c", "configuration", "-e", "stderr"],
  ]);
}

export async function startHaproxy(appPort: number): Promise<OwnContender> {
  const port = await freePort();
  return await startConfigured("haproxy", port, haproxyConfiguration(port, appPort), (directory) => [
    haproxyBinary,
    ["-db", "-f", join(directory, "configuration")],
  ]);
}

async function startConfigured(
  name: string,
  port: number,
  configuration: string,
  command: (directory: string) => [string, string[]],
): Promise<OwnContender> {
  const directory = mkdtempSync(join(tmpdir(), `bench-${name}-`));
  await writeFile(join(directory, "configuration"), configuration);
  const child = startChild(...command(directory));
  const end = async () => {
    await child[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true });
  };
  try {
    await untilListening(port);
  } catch (error) {
    await end();
    throw error;
  }
  return contender(name, child, port, end);
}

function contender(name: string, { pid }: Child, port: number, end: () => Promise<void>): OwnContender {
  return { name, pid, port, host: `127.0.0.1:${port}`, [Symbol.asyncDispose]: end };
}

/** A port that nothing has taken yet: those programs cannot tell which one they got. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
