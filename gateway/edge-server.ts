import { createServer, type IncomingMessage, type Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Exchange, Handler } from "./exchange.ts";
import type { Client } from "./forwarded-headers.ts";
import { isEnding, noteEnding } from "./linger.ts";
import { inTurn } from "./pipelining.ts";
import type { Refuser } from "./refuse.ts";
import { mostHeaders, readRequestHead } from "./request-head.ts";
import { refuseUnparsed } from "./unparsed-request.ts";

export type EdgeServerOptions = {
  readonly handler: Handler;
  readonly refuser: Refuser;
  /** A client gets so long for the whole head of a request. */
  readonly clientHeadSeconds: number;
  readonly readClient: (request: IncomingMessage, host: string) => Client;
};

/** Traefik keeps connections to us for up to 90 s and must be the one to close them. */
const keepAliveMs = 120_000;
/** Traefik's own bound on a request's head, in bytes. */
const maxHead = 1 << 20;

/** The gateway's HTTP/1.1 listener: turns what arrives into exchanges, or refuses it. Not yet listening. */
export function edgeServer({ handler, refuser, readClient, clientHeadSeconds }: EdgeServerOptions): Server {
  const server = createServer({
    keepAlive: true,
    noDelay: true,
    keepAliveTimeout: keepAliveMs,
    headersTimeout: clientHeadSeconds * 1000,
    connectionsCheckingInterval: Math.min(clientHeadSeconds * 500, 10_000),
    // An upload may take as long as it takes.
    requestTimeout: 0,
    maxHeaderSize: maxHead,
    requireHostHeader: false,
    insecureHTTPParser: false,
    shouldUpgradeCallback: isWebSocket,
  });
  // Past this number Node silently drops them: one more than may be is what tells.
  server.maxHeadersCount = mostHeaders + 1;
  const begin = (request: IncomingMessage, response: ServerResponse, more: Partial<Exchange> = {}) => {
    response.on("error", ignore);
    if (isEnding(request.socket)) return void request.resume();
    if (more.upgrade === undefined && request.headers.upgrade !== undefined) endAfter(request, response);
    const head = readRequestHead(request);
    const host = "problem" in head ? "" : head.host;
    const known = "problem" in head ? { host, target: "/", body: { kind: "none" } as const } : head;
    const exchange: Exchange = { request, response, head: known, client: readClient(request, host), ...more };
    if ("problem" in head) {
      const { problem, status } = head;
      refuser.refuse(exchange, "bad_request", { detail: `The request has ${problem}.`, ...(status && { status }) });
    } else handler(exchange);
  };
  const beginUpgrade = (request: IncomingMessage, socket: Socket, bytes: Buffer) => {
    const { response, release } = answerOn(request, socket);
    begin(request, response, { upgrade: { socket, bytes, release } });
  };
  const plain = inTurn(begin);
  server.on("request", plain);
  server.on(
    "checkContinue",
    inTurn((request, response) => begin(request, response, { expectsContinue: true })),
  );
  server.on("checkExpectation", plain);
  server.on("upgrade", (request: IncomingMessage, socket: Duplex, bytes: Buffer) => {
    // Before anything else: from here on nobody else listens for errors of this socket.
    socket.on("error", ignore);
    beginUpgrade(request, socket as Socket, bytes);
  });
  server.on("connect", (request: IncomingMessage, socket: Duplex, bytes: Buffer) => {
    socket.on("error", ignore);
    if (isAnswering(socket as Socket) || isEnding(socket)) return socket.destroy();
    beginUpgrade(request, socket as Socket, bytes);
  });
  server.on("clientError", refuseUnparsed);
  return server;
}

/** A client that leaves is no error; what it means for the exchange is told by `close`. */
function ignore(): void {}

/**
 * Only WebSocket is upgraded to; any other token is left unanswered, as RFC 9110 §7.8 allows, and so is an upgrade behind
 * a request of the connection that still waits for its answer.
 */
function isWebSocket(request: IncomingMessage): boolean {
  const { method, headers, socket } = request;
  return (
    method === "GET" &&
    !(isAnswering(socket) || isEnding(socket)) &&
    headers.upgrade?.toLowerCase() === "websocket" &&
    headers["content-length"] === undefined &&
    headers["transfer-encoding"] === undefined
  );
}

/** Node's parser loses what comes right behind a request for an upgrade that is not one: the client shall not wait for it. */
function endAfter({ socket }: IncomingMessage, response: ServerResponse): void {
  response.shouldKeepAlive = false;
  noteEnding(socket);
}

function isAnswering(socket: Socket): boolean {
  return Boolean((socket as { _httpMessage?: unknown })._httpMessage);
}

/** A response for a socket that Node has let go of. The connection ends with it, unless the socket is released before. */
function answerOn(request: IncomingMessage, socket: Socket): { readonly response: ServerResponse; release(): void } {
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  response.assignSocket(socket);
  // Who ends its side before it was answered has left, and nothing else would tell.
  const leave = () => {
    if (!response.writableEnded) socket.destroy();
  };
  const drained = () => void response.emit("drain");
  const release = () => {
    socket.off("end", leave).off("drain", drained);
    response.detachSocket(socket);
  };
  socket.once("end", leave).on("drain", drained);
  response.once("finish", () => {
    release();
    socket.end();
    // What the client still sends is read for a while: a reset could destroy the answer.
    socket.resume();
    const timer = setTimeout(() => socket.destroy(), 2_000);
    socket.once("close", () => clearTimeout(timer));
  });
  return { response, release };
}
