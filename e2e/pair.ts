import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { Agent, type Dispatcher, request } from "undici";
import type { Variables } from "#contract/environment.ts";
import { formatPreviewHost } from "#contract/preview-host.ts";
import type { SandboxId } from "#contract/sandbox-id.ts";
import { readConfig as readControlConfig } from "../control/config.ts";
import { openControlPlane } from "../control/control-plane.ts";
import { readConfig as readGatewayConfig } from "../gateway/config.ts";
import { openGateway } from "../gateway/gateway.ts";

export type Answer = {
  readonly status: number;
  readonly headers: Dispatcher.ResponseData["headers"];
  readonly text: string;
};

/** A whole control and a whole gateway in this process, with no edge before them. */
export interface Pair extends AsyncDisposable {
  readonly gatewayPort: number;
  /** Where the API listens: `host:port`, another one after each start of control. */
  readonly apiAddress: string;
  /** The `Host` of a sandbox's preview. */
  hostOf(id: SandboxId): string;
  /** Calls the API on loopback. Throws for any answer but a good one. */
  call(method: "GET" | "POST" | "PATCH" | "DELETE", path: string, body?: object): Promise<string>;
  /** Makes a sandbox with port 3000. */
  create(more: object): Promise<SandboxId>;
  sleep(id: SandboxId, mode: "stop" | "pause"): Promise<string>;
  /** One of control's metrics, by its name and labels as they are written; 0 when it is not there. */
  metric(name: string): Promise<number>;
  /** Asks for a preview as a program does, unless headers make it something else. */
  ask(id: SandboxId, headers?: Readonly<Record<string, string>>): Promise<Answer>;
  /** Ends control and starts another one over the same data, with these variables over the ones before. */
  restartControl(variables: Variables): Promise<void>;
}

export const domain = "pair.test";
const silent = pino({ level: "silent" });

export async function openPair(variables: Variables = {}): Promise<Pair> {
  await using opened = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), "pair-"));
  opened.defer(() => rm(directory, { recursive: true, force: true }));
  const all = {
    PATH: process.env.PATH,
    PREVIEW_DOMAIN: domain,
    SANDBOXD_DATA_DIR: directory,
    SANDBOXD_ENV_FILE: join(directory, "none"),
    SANDBOXD_ENGINE: "process",
    SANDBOXD_API_BIND: "127.0.0.1:0",
    SANDBOXD_ACTIVITY_FLUSH_MS: "100",
    GATEWAY_BIND: "127.0.0.1:0",
    ...variables,
  };
  const agent = new Agent({ pipelining: 0, headersTimeout: 0 });
  opened.defer(() => agent.destroy());
  let plane = await openControlPlane(readControlConfig(all), silent);
  opened.defer(() => plane[Symbol.asyncDispose]());
  const gateway = opened.use(await openGateway(readGatewayConfig(all), silent));
  const gatewayPort = gateway.address.port;

  const call: Pair["call"] = async (method, path, body) => {
    const options = body && { body: JSON.stringify(body), headers: { "content-type": "application/json" } };
    const answer = await request(`http://${plane.address}${path}`, { method, dispatcher: agent, ...options });
    const text = await answer.body.text();
    if (answer.statusCode >= 300) throw new Error(`${method} ${path}: ${answer.statusCode} ${text}`);
    return text;
  };
  const parts = opened.move();
  return {
    gatewayPort,
    get apiAddress() {
      return plane.address;
    },
    hostOf,
    call,
    create: async (more) => JSON.parse(await call("POST", "/v1/sandboxes", { ports: [3000], ...more })).id,
    sleep: (id, mode) => call("POST", `/v1/sandboxes/${id}/stop`, { mode, drain_seconds: 30 }),
    metric: async (name) => {
      const line = (await call("GET", "/metrics")).split("\n").find((each) => each.startsWith(`${name} `));
      return Number(line?.slice(name.length) ?? 0);
    },
    ask: async (id, headers = {}) => {
      const host = hostOf(id);
      const {
        statusCode,
        headers: got,
        body,
      } = await request(`http://127.0.0.1:${gatewayPort}/`, {
        dispatcher: agent,
        headers: { ...headers, host },
      });
      return { status: statusCode, headers: got, text: await body.text() };
    },
    restartControl: async (changes) => {
      await plane[Symbol.asyncDispose]();
      plane = await openControlPlane(readControlConfig({ ...all, ...changes }), silent);
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

export function hostOf(id: SandboxId): string {
  return formatPreviewHost(id, 3000, domain);
}
