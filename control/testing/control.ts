import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Test } from "tap";
import { Agent, type Dispatcher, request } from "undici";
import type { Variables } from "#contract/environment.ts";
import { gatewayApiHost, type Route, type RouteMessage, type TableMessage } from "#contract/gateway-api.ts";
import { readConfig } from "../config.ts";
import { type ControlPlane, openControlPlane } from "../control-plane.ts";
import { silent } from "./fixture.ts";

export type Answer = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  // biome-ignore lint/suspicious/noExplicitAny: what a test expects of an answer, it says.
  readonly body: any;
  readonly text: string;
};

export type CallOptions = {
  readonly body?: unknown;
  /** Sent as it is, in place of a body of JSON. */
  readonly raw?: string | Buffer;
  readonly headers?: Readonly<Record<string, string>>;
};

/** A whole control on the process engine, over an empty data directory. */
export type RunningControl = {
  readonly plane: ControlPlane;
  readonly directory: string;
  /** Calls the loopback listener. */
  call(method: string, path: string, options?: CallOptions): Promise<Answer>;
  /** Calls over the unix socket, as the gateway itself unless another host is named. */
  callSocket(method: string, path: string, options?: CallOptions): Promise<Answer>;
  /** Watches the routes as a gateway worker. */
  watch(worker?: string): RouteWatch;
  stop(): Promise<void>;
};

const server = `
  const server = require("node:http").createServer((request, response) => {
    if (request.url === "/exit") process.exit(7);
    response.end("hello");
  });
  server.listen(Number(process.env.PORT), process.env.HOST, () => console.log("listening"));
`;

/** The body that creates a sandbox with a small server in it. */
export const appBody = { ports: [3000], cmd: [process.execPath, "-e", server] };

export async function startControl(
  t: Test,
  variables: Variables = {},
  directory = newDirectory(t),
): Promise<RunningControl> {
  const environment = {
    PATH: process.env.PATH,
    SANDBOXD_ENV_FILE: join(directory, "no-such-file"),
    SANDBOXD_ENGINE: "process",
    SANDBOXD_DATA_DIR: directory,
    SANDBOXD_API_BIND: "127.0.0.1:0",
    ...variables,
  };
  const plane = await openControlPlane(readConfig(environment), silent);
  const overTcp = new Agent({ pipelining: 0 });
  const overSocket = new Agent({ connect: { socketPath: plane.socketPath }, pipelining: 0 });
  let stopped: Promise<void> | undefined;
  const stop = () => {
    stopped ??= Promise.resolve(plane[Symbol.asyncDispose]());
    return stopped;
  };
  t.teardown(async () => {
    await stop();
    await Promise.all([overTcp.destroy(), overSocket.destroy()]);
  });
  return {
    plane,
    directory,
    stop,
    call: (method, path, options) => call(`http://${plane.address}`, overTcp, method, path, options),
    callSocket: (method, path, options) => call(`http://${gatewayApiHost}`, overSocket, method, path, options),
    watch: (worker = "w") => new RouteWatch(t, overSocket, worker),
  };
}

export function newDirectory(t: Test): string {
  const directory = mkdtempSync(join(tmpdir(), "ctl-"));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

async function call(
  origin: string,
  dispatcher: Dispatcher,
  method: string,
  path: string,
  { body, raw, headers = {} }: CallOptions = {},
): Promise<Answer> {
  const payload = raw ?? (body === undefined ? null : JSON.stringify(body));
  const type = payload === null ? {} : { "content-type": "application/json" };
  const answer = await request(origin + path, {
    dispatcher,
    method: method as Dispatcher.HttpMethod,
    body: payload,
    headers: { ...type, ...headers },
  });
  const text = await answer.body.text();
  const isJson = String(answer.headers["content-type"]).startsWith("application/json");
  return { status: answer.statusCode, headers: answer.headers, text, body: isJson ? JSON.parse(text) : undefined };
}

/** A gateway worker's view of the routes. */
export class RouteWatch {
  readonly routes = new Map<string, Route>();
  readonly messages: TableMessage[] = [];
  /** What the stream said of access, which is outside the revisions. */
  readonly access: Exclude<RouteMessage, TableMessage>[] = [];
  readonly #ended = new AbortController();
  #waiters: (() => void)[] = [];

  constructor(t: Test, dispatcher: Dispatcher, worker: string) {
    t.teardown(() => this.end());
    void this.#follow(dispatcher, worker).catch(() => this.#ended.abort());
  }

  end(): void {
    this.#ended.abort();
  }

  /** Resolves with a sandbox's route as soon as it is as wanted. */
  async until(id: string, wanted: (route: Route) => boolean): Promise<Route> {
    for (;;) {
      const route = this.routes.get(id);
      if (route !== undefined && wanted(route)) return route;
      await this.next();
    }
  }

  /** Resolves with the next message. */
  async next(): Promise<void> {
    await new Promise<void>((resolve) => this.#waiters.push(resolve));
  }

  async #follow(dispatcher: Dispatcher, worker: string): Promise<void> {
    const url = `http://${gatewayApiHost}/gateway/routes?worker=${worker}`;
    const { body } = await request(url, { dispatcher, signal: this.#ended.signal });
    let rest = "";
    for await (const chunk of body) {
      const lines = (rest + String(chunk)).split("\n");
      rest = lines.pop()!;
      for (const line of lines) this.#take(JSON.parse(line) as RouteMessage);
    }
  }

  #take(message: RouteMessage): void {
    if (message.type === "access" || message.type === "revocation") return void this.access.push(message);
    this.messages.push(message);
    if (message.type === "snapshot") for (const route of message.routes) this.routes.set(route.id, route);
    if (message.type === "change") this.routes.set(message.route.id, message.route);
    if (message.type === "removal") this.routes.delete(message.id);
    for (const resolve of this.#waiters.splice(0)) resolve();
  }
}
