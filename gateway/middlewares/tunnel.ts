import { type ClientRequest, type IncomingMessage, request as openRequest } from "node:http";
import { createConnection, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { SandboxId } from "#contract/sandbox-id.ts";
import { downstreamHeaders } from "../downstream-headers.ts";
import type { Exchange, ExchangeActivity, Handler } from "../exchange.ts";
import type { Refuser } from "../refuse.ts";
import { upstreamFailure } from "../upstream-failure.ts";
import { upstreamHeaders } from "../upstream-headers.ts";
import type { ConnectionError } from "../upstream-pools.ts";
import { closeFrame, WebSocketFrames } from "../web-socket-frames.ts";

export type TunnelOptions = {
  readonly refuser: Refuser;
  readonly headTimeoutSeconds: number;
  readonly connectTimeoutMs: number;
  /** Whether the sandbox is going to sleep or away, so that its sockets end for that reason. */
  readonly isLeaving: (id: SandboxId) => boolean;
  /** The ways to end each open tunnel, kept by whoever stops the gateway. */
  readonly open: Set<() => void>;
};

/**
 * Carries upgrades to WebSocket (RFC 6455 §4). The client gets its 101 only after the app's; any other answer of the app
 * passes through as an ordinary response. From then on bytes go both ways untouched until either side ends.
 */
export function tunnel(options: TunnelOptions): Handler {
  return (exchange) => {
    const target = exchange.target!;
    const endpoint = target.route.endpoints.find(({ port }) => port === target.port);
    if (endpoint === undefined) return exchange.redial!();
    const headers = upstreamHeaders(exchange, target);
    headers.push("Connection", "Upgrade", "Upgrade", exchange.request.headers.upgrade!);
    const upstream = openRequest({
      method: "GET",
      path: exchange.head.target,
      headers,
      setDefaultHeaders: false,
      createConnection: () =>
        createConnection({
          host: endpoint.address,
          port: endpoint.upstreamPort,
          allowHalfOpen: true,
          noDelay: true,
          timeout: options.connectTimeoutMs,
        }),
    });
    negotiate(exchange, upstream, options);
    upstream.end();
  };
}

function negotiate(exchange: Exchange, upstream: ClientRequest, options: TunnelOptions): void {
  const { refuser, headTimeoutSeconds } = options;
  const { response } = exchange;
  let connected = false;
  const clientClosed = () => upstream.destroy();
  response.once("close", clientClosed);
  upstream.maxHeadersCount = 0;
  upstream.once("socket", (socket) =>
    socket.once("connect", () => {
      connected = true;
      socket.setTimeout(headTimeoutSeconds * 1000);
    }),
  );
  upstream.once("timeout", () => {
    const code = connected ? "UND_ERR_HEADERS_TIMEOUT" : "UND_ERR_CONNECT_TIMEOUT";
    upstream.destroy(Object.assign(new Error("the app did not answer the upgrade"), { code }));
  });
  upstream.on("error", (error: ConnectionError) => {
    response.off("close", clientClosed);
    if (response.destroyed) return;
    const failure = upstreamFailure(error, connected, false);
    if (failure.kind === "unreachable") return exchange.redial!();
    const detail = failure.kind === "refused" ? failure : undefined;
    refuser.refuse(exchange, detail?.code ?? "upstream_reset", detail && { detail: detail.detail });
  });
  upstream.once("upgrade", (answer, socket, bytes) => {
    response.off("close", clientClosed);
    if (response.destroyed) return socket.destroy();
    join(exchange, answer, socket as Socket, bytes, options);
  });
  upstream.once("response", (answer) => passRefusal(exchange, answer));
}

/** The app answered something other than 101: its answer, and then the connection ends. */
function passRefusal({ response, head }: Exchange, answer: IncomingMessage): void {
  const raw = answer.rawHeaders.map((text) => Buffer.from(text, "latin1"));
  const policy = { noindex: false, hostname: head.host.split(":")[0]!.toLowerCase() };
  const headers = downstreamHeaders(raw, answer.statusCode!, policy);
  response.sendDate = false;
  response.writeHead(answer.statusCode!, answer.statusMessage, [...headers, "Connection", "close"]);
  answer.pipe(response);
  answer.once("error", () => response.destroy());
}

function join(
  exchange: Exchange,
  answer: IncomingMessage,
  upstream: Socket,
  bytes: Buffer,
  { isLeaving, open }: TunnelOptions,
): void {
  const { socket: client, bytes: early } = exchange.upgrade!;
  exchange.response.detachSocket(client as Socket);
  upstream.setTimeout(0);
  client.write(upgradeHead(answer, exchange.head.host), "latin1");
  if (bytes.length > 0) upstream.unshift(bytes);
  if (early.length > 0) client.unshift(early);
  const end = relay(client, upstream, () => isLeaving(exchange.target!.id), exchange.activity);
  open.add(end);
  client.once("close", () => open.delete(end));
  if (exchange.activity) exchange.activity.end = end;
}

/** The app's 101 with its own headers; only the hop's own ones are written anew. */
function upgradeHead(answer: IncomingMessage, host: string): string {
  const raw = answer.rawHeaders.map((text) => Buffer.from(text, "latin1"));
  const policy = { noindex: false, hostname: host.split(":")[0]!.toLowerCase() };
  const headers = downstreamHeaders(raw, 200, policy);
  headers.push("Connection", "Upgrade", "Upgrade", answer.headers.upgrade ?? "websocket");
  let head = `HTTP/1.1 101 ${answer.statusMessage || "Switching Protocols"}\r\n`;
  for (let index = 0; index < headers.length; index += 2) head += `${headers[index]}: ${headers[index + 1]}\r\n`;
  return `${head}\r\n`;
}

/**
 * Joins both sides: back pressure, half-close, and an end of both when one breaks. Returns what ends it from outside, with
 * a word to the client where a frame may begin.
 */
function relay(
  client: Duplex,
  upstream: Socket,
  isLeaving: () => boolean,
  activity: ExchangeActivity | undefined,
): () => void {
  const fromApp = new WebSocketFrames();
  const fromClient = new WebSocketFrames();
  upstream.on("data", (chunk: Buffer) => count(activity, "bytesOut", fromApp.push(chunk), chunk));
  client.on("data", (chunk: Buffer) => count(activity, "bytesIn", fromClient.push(chunk), chunk));
  client.pipe(upstream);
  upstream.pipe(client, { end: false });
  const goAway = () => {
    if (fromApp.closed || !fromApp.atBoundary) client.end();
    else client.end(closeFrame(1001));
  };
  // A sandbox that goes to sleep takes its sockets with it: that is no fault of the app's.
  upstream.once("end", () => (isLeaving() ? goAway() : client.end()));
  upstream.on("error", () => (isLeaving() ? goAway() : client.destroy()));
  upstream.once("close", () => client.writableEnded || client.destroy());
  client.on("error", () => upstream.destroy());
  client.once("close", () => upstream.destroy());
  return () => {
    upstream.unpipe(client);
    goAway();
    upstream.destroy();
  };
}

function count(
  activity: ExchangeActivity | undefined,
  way: "bytesIn" | "bytesOut",
  data: boolean,
  chunk: Buffer,
): void {
  if (activity === undefined) return;
  activity[way] += chunk.length;
  if (data) activity.lastDataAt = Date.now();
}
