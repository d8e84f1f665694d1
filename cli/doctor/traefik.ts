import { readdir, readFile } from "node:fs/promises";
import { extname, join } from "node:path";
import { parse } from "yaml";
import type { CliConfig } from "../config.ts";
import { type Answer, ask, isSilent, type Silence } from "../http.ts";
import { check } from "./check.ts";
import { judgeTraefik } from "./traefik-verdicts.ts";

/** Traefik's configuration as it has loaded it, against what control wrote and the environment asks for. */
export const traefik = check("traefik", lookAtTraefik, judgeTraefik);

export type TraefikFacts = {
  readonly ping: Answer | Silence;
  readonly loaded: Loaded | Silence;
  /** The dynamic directory; undefined: it cannot be read. */
  readonly files: readonly DynamicFile[] | undefined;
};

export type Loaded = {
  readonly routers: Readonly<Record<string, Router>>;
  readonly services: Readonly<Record<string, Service>>;
  readonly entryPoints: readonly EntryPoint[];
};
export type Router = {
  readonly rule?: string;
  readonly status?: string;
  readonly error?: readonly string[];
  readonly entryPoints?: readonly string[];
};
export type Service = { readonly serverStatus?: Readonly<Record<string, string>> };
export type EntryPoint = {
  readonly name: string;
  readonly address: string;
  readonly forwardedHeaders?: { readonly trustedIPs?: readonly string[] };
  readonly proxyProtocol?: object;
  readonly http3?: object;
};

export type DynamicFile = {
  /** Its path below the directory. */
  readonly name: string;
  /** What it says; undefined: it is not YAML, or not readable. */
  readonly content: unknown;
  readonly problem?: string;
};

async function lookAtTraefik(config: CliConfig, signal: AbortSignal): Promise<TraefikFacts> {
  const [ping, loaded, files] = await Promise.all([
    ask({ ...config.internalBind, path: "/ping" }, signal),
    readLoaded(config, signal),
    readDynamicFiles(config.dynamicDirectory),
  ]);
  return { ping, loaded, files };
}

async function readLoaded({ internalBind }: CliConfig, signal: AbortSignal): Promise<Loaded | Silence> {
  const paths = ["/api/rawdata", "/api/entrypoints"];
  const answers = await Promise.all(
    paths.map((path) => ask({ ...internalBind, path, hostHeader: "localhost" }, signal)),
  );
  for (const answer of answers) {
    if (isSilent(answer)) return answer;
    if (answer.status !== 200) return { silence: String(answer.status) };
  }
  try {
    const [raw, entryPoints] = (answers as Answer[]).map(({ body }) => JSON.parse(body));
    return { routers: raw.routers ?? {}, services: raw.services ?? {}, entryPoints };
  } catch {
    return { silence: "not JSON" };
  }
}

const configuration = new Set([".yml", ".yaml", ".toml"]);

/** What Traefik reads there: dotfiles and subfolders count. */
export async function readDynamicFiles(directory: string): Promise<readonly DynamicFile[] | undefined> {
  const names = await readdir(directory, { recursive: true }).catch(() => undefined);
  if (names === undefined) return undefined;
  return Promise.all(names.filter((name) => configuration.has(extname(name))).map((name) => readOne(directory, name)));
}

async function readOne(directory: string, name: string): Promise<DynamicFile> {
  try {
    const text = await readFile(join(directory, name), "utf8");
    // Nothing here parses TOML; control writes none.
    return { name, content: extname(name) === ".toml" ? {} : parse(text) };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    // Private files are no secret to Traefik.
    if (code === "EACCES") return { name, content: {} };
    return { name, content: undefined, problem: message.split("\n")[0]! };
  }
}
