import { readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Test } from "tap";
import { request } from "undici";
import { RawClient } from "../../gateway/hazards/test-gateway.ts";
import { Program } from "../stack.ts";

export const secret = "the-secret-of-an-integrator-long-enough";

export type Answer = {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: what a test expects of an answer, it says.
  readonly body: any;
};

/** A sandbox of a chain, and what its app has seen. */
export type Box = {
  readonly id: string;
  readonly host: string;
  readonly url: string;
  /** Every start of the app and every request that reached it, oldest first. */
  record(): string[];
  /** Sends one request with these header lines on a connection of its own, and returns the whole answer. */
  ask(lines?: string, requestLine?: string, body?: string): Promise<string>;
};

const mirror = await readFile(join(import.meta.dirname, "..", "apps", "mirror.js"), "utf8");

/** A control and a gateway, each started as an operator does it, on loopback at free ports and with nothing before them. */
export class Chain {
  readonly directory: string;
  readonly domain = "localhost";
  /** Of the gateway. */
  readonly port: number;
  readonly gateway: Program;
  readonly #startControl: () => Program;
  control: Program;
  #api = "";

  private constructor(directory: string, port: number, gateway: Program, startControl: () => Program) {
    this.directory = directory;
    this.port = port;
    this.gateway = gateway;
    this.#startControl = startControl;
    this.control = startControl();
  }

  static async start(t: Test, variables: NodeJS.ProcessEnv = {}): Promise<Chain> {
    const directory = await mkdtemp(join(tmpdir(), "chain-"));
    t.teardown(() => rm(directory, { recursive: true, force: true }));
    const file = join(directory, "sandboxd.env");
    writeFileSync(file, `SANDBOXD_PREVIEW_TOKEN_SECRETS=main=${secret}\n`);
    const shared = {
      SANDBOXD_DATA_DIR: directory,
      SANDBOXD_ENV_FILE: file,
      SANDBOXD_ENGINE: "process",
      SANDBOXD_API_BIND: "127.0.0.1:0",
      GATEWAY_BIND: "127.0.0.1:0",
      GATEWAY_WORKERS: "1",
      SANDBOXD_GATEWAY_DRAIN_SECONDS: "0",
      ...variables,
    };
    const gateway = new Program(t, "gateway", shared);
    const port = Number((await gateway.listening("preview")).split(":").at(-1));
    // Visitors come to the gateway's own port: that is what previews' URLs have in them.
    const ports = { HTTP_PORT: String(port), HTTPS_PORT: String(port) };
    const chain = new Chain(directory, port, gateway, () => new Program(t, "control", { ...shared, ...ports }));
    chain.#api = await chain.control.listening("api");
    return chain;
  }

  /** Kills control, and starts another one over the same data. */
  async restartControl(): Promise<void> {
    await this.control.stop("SIGKILL");
    this.control = this.#startControl();
    this.#api = await this.control.listening("api");
  }

  /** Replaces the environment file and has control read it, as an operator does. Resolves when control says how that went. */
  async reload(text: string): Promise<string> {
    const before = this.control.lines.length;
    writeFileSync(join(this.directory, "sandboxd.env"), text);
    this.control.child.kill("SIGHUP");
    for (;;) {
      const line = this.control.lines.slice(before).find((each) => each.includes("the environment file"));
      if (line !== undefined) return line;
      await this.control.more();
    }
  }

  /** Where the API is as the operator reaches it. */
  get apiUrl(): string {
    return `http://${this.#api}`;
  }

  /** Calls the API as the operator. */
  readonly api = async (
    method: "GET" | "POST" | "PATCH" | "DELETE",
    path: string,
    body?: object,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Answer> => {
    const type = body && { "content-type": "application/json" };
    const sent = { method, headers: { ...type, ...headers }, ...(body && { body: JSON.stringify(body) }) };
    const answer = await request(`http://${this.#api}${path}`, sent);
    const text = await answer.body.text();
    const isJson = String(answer.headers["content-type"]).startsWith("application/json");
    return { status: answer.statusCode, body: isJson ? JSON.parse(text) : text };
  };

  /** Calls the API over its host at the edge. */
  async edge(lines: string, requestLine: string, body = ""): Promise<string> {
    return await this.ask(`api.preview.${this.domain}:${this.port}`, lines, requestLine, body);
  }

  async create(more: object = {}): Promise<Box> {
    const sandbox = { ports: [3000], cmd: [process.execPath, "-e", mirror], visibility: "private", ...more };
    const { status, body } = await this.api("POST", "/v1/sandboxes", sandbox);
    if (status !== 201) throw new Error(`no sandbox: ${status} ${JSON.stringify(body)}`);
    const id = body.id as string;
    const url = body.previews[0].url as string;
    const { host } = new URL(url);
    const file = join(this.directory, "workspaces", id, "record");
    await this.#untilRouted(host);
    return {
      id,
      host,
      url,
      record: () => readFileSync(file, "utf8").trim().split("\n"),
      ask: (lines = "", requestLine = "GET / HTTP/1.1", body = "") => this.ask(host, lines, requestLine, body),
    };
  }

  /** Every worker's table has a host when none of so many connections in turn finds it missing. */
  async #untilRouted(host: string): Promise<void> {
    for (let known = 0; known < 8; known++) {
      const answer = await this.ask(host, "", "GET /.well-known/sandboxd/state HTTP/1.1");
      if (answer.startsWith("HTTP/1.1 404")) known = -1;
    }
  }

  /** Sends one request to the gateway under a host on a connection of its own, and returns the whole answer. */
  async ask(host: string, lines: string, requestLine: string, body = ""): Promise<string> {
    const head = `${requestLine}\r\nHost: ${host}\r\nConnection: close\r\n${lines}\r\n`;
    return await new RawClient(this.port).send(head + body).whole();
  }
}

export const statusOf = (answer: string) => Number(/^HTTP\/1\.1 ([0-9]{3})/.exec(answer)?.[1]);
export const reasonOf = (answer: string) => /"reason":"([a-z_]+)"/.exec(answer)?.[1];

export function headerOf(answer: string, name: string): string | undefined {
  return new RegExp(`^${name}: (.*)\r$`, "im").exec(answer)?.[1];
}

export const navigation = "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nAccept: text/html\r\n";
export const upgrade =
  "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";

/** Follows a link with a token as a browser does, and returns the header line that it sends from then on. */
export async function openSession({ ask }: Box, token: string): Promise<string> {
  const answer = await ask(navigation, `GET /?preview_token=${token} HTTP/1.1`);
  const cookie = headerOf(answer, "set-cookie")?.split(";", 1)[0];
  if (statusOf(answer) !== 303 || cookie === undefined) throw new Error(`no session: ${answer}`);
  return `Cookie: ${cookie}\r\n`;
}
