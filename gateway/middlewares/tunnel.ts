import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { SandboxId } from "#contract/sandbox-id.ts";
import { downstreamHeaders } from "../downstream-headers.ts";
import type { Exchange, Handler, Target } from "../exchange.ts";
import { JoinedSockets } from "../joined-sockets.ts";
import { buffersOf, type OwnConnection, openConnection, passAnswer } from "../own-connection.ts";
import type { Refuser } from "../refuse.ts";
import { breakOff } from "../relay.ts";
import { upstreamFailure } from "../upstream-failure.ts";
import { upstreamHeaders } from "../upstream-headers.ts";
import type { ConnectionError } from "../upstream-pools.ts";

export type TunnelOptions = {
  readonly refuser: Refuser;
  readonly headTimeoutSeconds: number;
  readonly bodyIdleSeconds: number;
  /** Whether a target is still where its route says. */
  readonly isCurrent: (target: Target) => boolean;
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
    if (endpoint === undefined) return exchange.redial!(exchange);
    const headers = upstreamHeaders(exchange, target);
    headers.push("Connection", "Upgrade", "Upgrade", exchange.request.headers.upgrade!);
    const path = exchange.head.target;
    const isCurrent = () => options.isCurrent(target);
    const upstream = openConnection(endpoint, { ...options, method: "GET", path, headers, isCurrent });
    negotiate(exchange, upstream, {
      ...options,
      noindex: () => exchange.target!.route.wakePolicy.noindex ?? true,
      isLeaving: () => options.isLeaving(target.id),
    });
    upstream.request.end();
  };
}

/** What becomes of an upgrade that is on its way. */
export type NegotiationOptions = Pick<TunnelOptions, "refuser" | "open"> & {
  readonly noindex: () => boolean;
  readonly isLeaving: () => boolean;
};

/** Joins the client with whoever answers, or passes on what that says instead. */
export function negotiate(
  exchange: Exchange,
  { request: upstream, isConnected, isAnswered }: OwnConnection,
  options: NegotiationOptions,
): void {
  const { response } = exchange;
  const clientClosed = () => upstream.destroy();
  response.once("close", clientClosed);
  const fail = (error: ConnectionError) => {
    response.off("close", clientClosed);
    upstream.destroy();
    if (response.headersSent) return isAnswered() ? undefined : breakOff(exchange);
    if (response.destroyed) return;
    const failure = upstreamFailure(error, isConnected(), false);
    if (failure.kind === "unreachable") return exchange.redial!(exchange);
    const known = failure.kind === "refused" ? failure : undefined;
    options.refuser.refuse(exchange, known?.code ?? "upstream_reset", known && { detail: known.detail });
  };
  upstream.on("error", fail);
  upstream.once("upgrade", (answer, socket, bytes) => {
    response.off("close", clientClosed);
    if (response.destroyed) return socket.destroy();
    try {
      const head = upgradeHead(answer, exchange.head.host);
      join(exchange, head, socket as Socket, bytes, options);
    } catch (error) {
      socket.destroy();
      fail(error as Error);
    }
  });
  // Anything other than 101 is the app's answer, and the end of the connection.
  upstream.once("response", (answer) => {
    try {
      passAnswer(exchange, answer, { noindex: options.noindex(), host: exchange.head.host });
    } catch (error) {
      fail(error as Error);
    }
  });
}

function join(
  exchange: Exchange,
  head: string,
  upstream: Socket,
  bytes: Buffer,
  { isLeaving, open }: NegotiationOptions,
): void {
  const { socket, bytes: early, release } = exchange.upgrade!;
  release();
  socket.write(head, "latin1");
  if (bytes.length > 0) upstream.unshift(bytes);
  if (early.length > 0) socket.unshift(early);
  const joined = new JoinedSockets(socket, upstream, isLeaving, exchange.activity);
  const end = () => joined.end();
  open.add(end);
  socket.once("close", () => open.delete(end));
  const { target, grant, activity } = exchange;
  if (activity) Object.assign(activity, { end, exchange: { target, grant, activity, upgrade: { socket } } });
}

/**
 * The app's 101 with its own headers; only the hop's own ones are written anew. Throws when it is not one to WebSocket, with a
 * reason that may be said again (RFC 9112 §4).
 */
function upgradeHead(answer: IncomingMessage, host: string): string {
  const { headers: said, statusMessage = "" } = answer;
  if (said.upgrade?.toLowerCase() !== "websocket" || /[^\t\x20-\x7e\x80-\xff]/.test(statusMessage)) {
    throw new Error("the app switched to something else");
  }
  const headers = downstreamHeaders(buffersOf(answer.rawHeaders), 200, { noindex: false, host });
  headers.push("Connection", "Upgrade", "Upgrade", said.upgrade);
  let head = `HTTP/1.1 101 ${statusMessage || "Switching Protocols"}\r\n`;
  for (let index = 0; index < headers.length; index += 2) head += `${headers[index]}: ${headers[index + 1]}\r\n`;
  return `${head}\r\n`;
}
