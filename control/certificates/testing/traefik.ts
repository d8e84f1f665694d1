import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Test } from "tap";
import { traefikBinary } from "../../../e2e/parts/parts.ts";
import { renderStatic, type StaticSettings } from "../static-file.ts";

export type Traefik = {
  readonly web: number;
  readonly websecure: number;
  readonly internal: number;
  log(): string;
  /** Ends it as an operator does; resolves with its exit code once it is gone. */
  stop(): Promise<number | null>;
};

const template = new URL("../../../traefik/traefik.yml", import.meta.url);

/** Starts Traefik with the project's static file, in `root`: on loopback, at free ports, with another directory. */
export async function startTraefik(
  t: Test,
  root: string,
  dynamicDir: string,
  settings: Partial<StaticSettings> = {},
): Promise<Traefik> {
  const [web, websecure, internal] = (await freePorts(3)) as [number, number, number];
  const defaults = { trustedProxies: [], proxyProtocol: false, http3: false };
  const places = { httpPort: web, httpsPort: websecure, internal: { host: "127.0.0.1", port: internal } };
  const text = renderStatic(await readFile(template, "utf8"), { ...defaults, ...settings, ...places })
    .replace(/address: ":/g, 'address: "127.0.0.1:')
    .replace("/etc/traefik/dynamic", dynamicDir);
  const file = join(root, "traefik.yml");
  await writeFile(file, text);
  const child = spawn(traefikBinary, [`--configFile=${file}`], { env: {}, stdio: ["ignore", "pipe", "pipe"] });
  const exited = once(child, "exit");
  let log = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (log += chunk));
  t.teardown(async () => {
    child.kill("SIGKILL");
    await exited;
  });
  await eventually(async () => {
    if (child.exitCode !== null) throw new Error(`Traefik ended: ${log}`);
    return fetch(`http://127.0.0.1:${internal}/ping`).then(
      (answer) => answer.ok,
      () => false,
    );
  });
  const stop = async () => {
    child.kill("SIGTERM");
    await exited;
    return child.exitCode;
  };
  return { web, websecure, internal, log: () => log, stop };
}

/** Asks until the answer is true. The timeout of the test is the limit. */
export async function eventually(ask: () => Promise<boolean>): Promise<void> {
  while (!(await ask())) await delay(20);
}

/** Below the ephemeral range, where no other test's port 0 can come to lie. */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < count) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    if (!ports.includes(port) && (await isFree(port))) ports.push(port);
  }
  return ports;
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, "127.0.0.1");
  const outcome = await Promise.race([
    once(server, "listening").then(() => true),
    once(server, "error").then(() => false),
  ]);
  if (outcome) await new Promise((closed) => server.close(closed));
  return outcome;
}
