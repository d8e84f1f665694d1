import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Test } from "tap";
import { traefikBinary } from "../../../e2e/parts/parts.ts";
import { renderStatic, type StaticSettings } from "../static-file.ts";
import { freePorts } from "./free-ports.ts";

export type Traefik = {
  readonly web: number;
  readonly websecure: number;
  readonly internal: number;
  log(): string;
  /** Ends it as an operator does; resolves with its exit code once it is gone. */
  stop(): Promise<number | null>;
};

export type TraefikOptions = {
  readonly environment?: Readonly<Record<string, string>>;
  /** Of the static file. */
  readonly change?: (text: string) => string;
};

const template = new URL("../../../traefik/traefik.yml", import.meta.url);

/** Starts Traefik with the project's static file, in `root`: on loopback, at free ports, with another directory. */
export async function startTraefik(
  t: Test,
  root: string,
  dynamicDir: string,
  settings: Partial<StaticSettings> = {},
  { environment = {}, change = (text) => text }: TraefikOptions = {},
): Promise<Traefik> {
  const [web, websecure, internal] = await freePorts(3);
  const defaults = { trustedProxies: [], proxyProtocol: false, http3: false, resolver: null };
  const places = { httpPort: web, httpsPort: websecure, internal: { host: "127.0.0.1", port: internal } };
  const text = renderStatic(await readFile(template, "utf8"), { ...defaults, ...settings, ...places })
    .replace(/address: ":/g, 'address: "127.0.0.1:')
    .replace("/etc/traefik/dynamic", dynamicDir)
    .replace("/etc/traefik/acme", root);
  const file = join(root, "traefik.yml");
  await writeFile(file, change(text));
  const child = spawn(traefikBinary, [`--configFile=${file}`], { env: environment, stdio: ["ignore", "pipe", "pipe"] });
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
export async function eventually(ask: () => Promise<boolean>, pauseMs = 20): Promise<void> {
  while (!(await ask())) await delay(pauseMs);
}
