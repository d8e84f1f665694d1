import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { pino } from "pino";
import type { Test } from "tap";
import { ulid } from "ulid";
import type { Route } from "#contract/gateway-api.ts";
import { formatPreviewHost } from "#contract/preview-host.ts";
import type { SandboxId } from "#contract/sandbox-id.ts";
import { type GatewayConfig, readConfig } from "../config.ts";
import { type Gateway, openGateway } from "../gateway.ts";
import { TestControl } from "./test-control.ts";

export { TestControl } from "./test-control.ts";

export const domain = "test.example";
export const newId = () => ulid() as SandboxId;

/** A route to `port` of this machine, running and public unless `more` says otherwise. */
export function routeTo(id: SandboxId, upstreamPort: number, more: Partial<Route> = {}): Route {
  return {
    id,
    generation: 1,
    run: 1,
    status: "running",
    reason: null,
    ports: [3000],
    endpoints: [{ port: 3000, address: "127.0.0.1", upstreamPort }],
    visibility: "public",
    owner: null,
    cors: null,
    hostPolicy: "localhost",
    hostPolicyByPort: {},
    wakePolicy: { classes: {} },
    ...more,
  };
}

export type TestGateway = { readonly gateway: Gateway; readonly control: TestControl; readonly port: number };

/** A gateway with one worker on a free port and a test control; both end with the test. */
export async function startGateway(
  t: Test,
  more: Partial<GatewayConfig> = {},
  { controlIsUp = true } = {},
): Promise<TestGateway> {
  const directory = mkdtempSync(join(tmpdir(), "gateway-"));
  const control = new TestControl(directory);
  if (controlIsUp) await control.start();
  let gateway: Gateway | undefined;
  t.teardown(async () => {
    await gateway?.[Symbol.asyncDispose]();
    await control.stop();
    rmSync(directory, { recursive: true, force: true });
  });
  const variables = {
    PREVIEW_DOMAIN: domain,
    SANDBOXD_DATA_DIR: directory,
    SANDBOXD_ENV_FILE: join(directory, "none"),
  };
  const config = { ...readConfig(variables), bind: { host: "127.0.0.1", port: 0 }, controlSocket: control.socketPath };
  gateway = await openGateway({ ...config, activityFlushMs: 20, drainSeconds: 0, ...more }, pino({ level: "silent" }));
  if (controlIsUp && !gateway.table.loaded) await once(gateway.table, "loaded");
  return { gateway, control, port: gateway.address.port };
}

/** Makes the gateway know a route, and returns its `Host` value. */
export async function addRoute({ gateway, control }: TestGateway, route: Route): Promise<string> {
  const published = control.publish(route);
  while ((gateway.table.get(route.id)?.generation ?? 0) < published.generation) await once(gateway.table, "route");
  return formatPreviewHost(route.id, route.ports[0]!, domain);
}

export type Preview = TestGateway & { readonly route: Route; readonly host: string };

/** A gateway with one running sandbox, whose app is played by `onConnection`. */
export async function startPreview(
  t: Test,
  onConnection: (socket: Socket) => void,
  config: Partial<GatewayConfig> = {},
): Promise<Preview> {
  const test = await startGateway(t, config);
  const route = routeTo(newId(), await startApp(t, onConnection));
  return { ...test, route, host: await addRoute(test, route) };
}

/** Resolves when the condition holds: for what tells of itself by no event. Rejects after ten seconds. */
export async function eventually(condition: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`never happened: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** Resolves with a number once it has stayed the same for a while: for what shall not go on. */
export async function settled(read: () => number): Promise<number> {
  let last = read();
  for (let unchanged = 0; unchanged < 20; unchanged++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    if (read() !== last) unchanged = -1;
    last = read();
  }
  return last;
}

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/** Bytes of buffers that somebody still holds, in the whole process. */
export function heldBytes(): number {
  collectGarbage();
  return process.memoryUsage().arrayBuffers;
}

/** A raw TCP listener that plays the app, on a free port unless one is given; ends with the test. */
export async function startApp(t: Test, onConnection: (socket: Socket) => void, port = 0): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createTcpServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    socket.on("error", () => {});
    onConnection(socket);
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** A port of this machine that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createTcpServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** An app that answers every request's head, when it is there whole, with what `answer` returns for it. */
export function answering(
  answer: (head: string, socket: Socket) => string | Buffer | undefined,
): (socket: Socket) => void {
  return (socket) => {
    let text = "";
    socket.on("data", (chunk: Buffer) => {
      text += chunk.toString("latin1");
      for (let end = text.indexOf("\r\n\r\n"); end >= 0; end = text.indexOf("\r\n\r\n")) {
        const head = text.slice(0, end + 4);
        text = text.slice(end + 4);
        const answered = answer(head, socket);
        if (answered !== undefined) socket.write(answered, "latin1");
      }
    });
  };
}

export const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/** An app that answers "ok" to everything. */
export async function okApp(t: Test, port = 0): Promise<number> {
  return await startApp(
    t,
    answering(() => ok),
    port,
  );
}

/** A client that speaks bytes: what it received so far, and what it can wait for. */
export class RawClient {
  readonly socket: Socket;
  readonly #chunks: Buffer[] = [];
  /** How many bytes have arrived. */
  length = 0;
  ended = false;
  closed = false;
  error: Error | undefined;

  constructor(port: number) {
    this.socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    this.socket.on("data", (chunk: Buffer) => {
      this.#chunks.push(chunk);
      this.length += chunk.length;
      this.socket.emit("progress");
    });
    this.socket.on("end", () => {
      this.ended = true;
      this.socket.emit("progress");
    });
    this.socket.on("error", (error) => {
      this.error = error;
    });
    this.socket.on("close", () => {
      this.closed = true;
      this.socket.emit("progress");
    });
  }

  get received(): Buffer {
    if (this.#chunks.length > 1) this.#chunks.splice(0, this.#chunks.length, Buffer.concat(this.#chunks));
    return this.#chunks[0] ?? Buffer.alloc(0);
  }

  get text(): string {
    return this.received.toString("latin1");
  }

  send(bytes: string | Buffer): this {
    this.socket.write(bytes, "latin1");
    return this;
  }

  /** Resolves when the condition holds for what has arrived; rejects when it cannot any more, or after ten seconds. */
  async until(condition: (client: RawClient) => boolean): Promise<this> {
    const signal = AbortSignal.timeout(10_000);
    while (!condition(this)) {
      if (this.closed) throw new Error(`closed too early, after: ${this.text.slice(0, 500)}`);
      // Not events.once(): it would reject for an error of the connection, which is a thing to wait for.
      await new Promise<void>((resolve, reject) => {
        const late = () => reject(new Error(`nothing more came, after: ${this.text.slice(0, 500)}`));
        signal.addEventListener("abort", late, { once: true });
        this.socket.once("progress", () => {
          signal.removeEventListener("abort", late);
          resolve();
        });
      });
    }
    return this;
  }

  /** Everything up to the end of the connection. */
  async whole(): Promise<string> {
    await this.until(({ ended, closed }) => ended || closed);
    this.socket.destroy();
    return this.text;
  }
}

/** Sends these bytes on a new connection and returns all that comes back until the gateway closes it. */
export async function exchangeBytes(port: number, bytes: string | Buffer): Promise<string> {
  return await new RawClient(port).send(bytes).whole();
}

/** The content of whole chunks. */
export function dechunked(text: string): string {
  let content = "";
  for (let rest = text; ; ) {
    const line = rest.indexOf("\r\n");
    const size = Number.parseInt(rest.slice(0, line), 16);
    if (size === 0) return content;
    content += rest.slice(line + 2, line + 2 + size);
    rest = rest.slice(line + 2 + size + 2);
  }
}
