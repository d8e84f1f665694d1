import { type ClientRequest, type IncomingMessage, request as openRequest } from "node:http";
import { createConnection } from "node:net";
import type { Endpoint } from "#contract/gateway-api.ts";
import { type DownstreamPolicy, downstreamHeaders } from "./downstream-headers.ts";
import type { Exchange } from "./exchange.ts";
import { hearOut } from "./hear-out.ts";
import { InterimAnswers } from "./interim-answers.ts";
import { closeLingering } from "./linger.ts";
import { breakOff, flushHead } from "./relay.ts";
import { mostHeaders } from "./request-head.ts";
import { addTrailers } from "./trailers.ts";
import { maxResponseHead } from "./upstream-pools.ts";

/**
 * Requests that pooled connections cannot carry, an upgrade or one whose client waits for `100 Continue`, get a connection
 * of their own and Node's client.
 */
export type OwnConnectionOptions = {
  readonly method: string;
  readonly path: string;
  /** Name and value in turn, framing included. */
  readonly headers: string[];
  readonly connectTimeoutMs: number;
  readonly headTimeoutSeconds: number;
  /** For the body of an ordinary answer, while either side does nothing. */
  readonly bodyIdleSeconds: number;
  /** Whether the address is still the sandbox's, asked when the dial is answered: by then it may be another one's. */
  readonly isCurrent: () => boolean;
};

/** Where an app listens, or a unix socket: control's. */
export type DialledPlace = Endpoint | { readonly path: string };

export type OwnConnection = {
  readonly request: ClientRequest;
  /** Whether the app took the connection: bytes may have gone out. */
  isConnected(): boolean;
  /** Whether a final answer has come whole: what is wrong from then on is nobody's business. */
  isAnswered(): boolean;
};

/** Dials and sends the head. An app that is silent for too long is an `error` with the code of that timeout. */
export function openConnection(place: DialledPlace, options: OwnConnectionOptions): OwnConnection {
  const { method, path, headers, connectTimeoutMs, headTimeoutSeconds, bodyIdleSeconds } = options;
  const where = "path" in place ? place : { host: place.address, port: place.upstreamPort, noDelay: true };
  const dial = { ...where, allowHalfOpen: true, timeout: connectTimeoutMs };
  const createOwn = () => createConnection(dial);
  const own = { maxHeaderSize: maxResponseHead, setDefaultHeaders: false, createConnection: createOwn };
  const request = openRequest({ method, path, headers, ...own });
  request.maxHeadersCount = mostHeaders + 1;
  let connected = false;
  request.once("socket", (socket) => {
    hearOut(socket);
    socket.once("connect", () => {
      if (!options.isCurrent()) return request.destroy(failure("ECONNREFUSED"));
      connected = true;
      socket.setTimeout(headTimeoutSeconds * 1000);
    });
    const silent = () => {
      request.destroy(failure(connected ? "UND_ERR_HEADERS_TIMEOUT" : "UND_ERR_CONNECT_TIMEOUT"));
    };
    socket.once("timeout", silent);
    request.once("response", () => socket.setTimeout(0));
    // What flows through a tunnel has its own bounds.
    request.once("upgrade", () => socket.off("timeout", silent).setTimeout(0));
  });
  const interim = new InterimAnswers();
  request.on("information", ({ rawHeaders }) => {
    try {
      interim.take(rawHeaders);
    } catch (error) {
      request.destroy(error as Error);
    }
  });
  let final: IncomingMessage | undefined;
  request.once("response", (answer) => {
    final = answer;
    // Not by the socket: chunk extensions and trailers without an end keep that busy.
    const timer = setTimeout(() => request.destroy(failure("UND_ERR_BODY_TIMEOUT")), bodyIdleSeconds * 1000);
    answer.on("data", () => timer.refresh()).once("close", () => clearTimeout(timer));
  });
  request.flushHeaders();
  return { request, isConnected: () => connected, isAnswered: () => final?.complete ?? false };
}

function failure(code: string): Error {
  return Object.assign(new Error("the app did not answer"), { code });
}

/**
 * Passes an app's final answer on. The client's connection ends with it unless all of the request has been read. Throws when
 * it cannot be an answer.
 */
export function passAnswer(exchange: Exchange, answer: IncomingMessage, policy: DownstreamPolicy): void {
  const { request, response, activity } = exchange;
  // Interim answers come by events of their own; this one is a 101 that switches to nothing.
  if (answer.statusCode! < 200) throw new Error(`the app answered ${answer.statusCode}`);
  const headers = downstreamHeaders(buffersOf(answer.rawHeaders), answer.statusCode!, policy);
  if (exchange.upgrade !== undefined || !request.complete) headers.push("Connection", "close");
  if (exchange.upgrade === undefined && !request.complete) closeLingering(request);
  response.sendDate = false;
  response.writeHead(answer.statusCode!, answer.statusMessage ?? "", headers);
  flushHead(response);
  answer.on("error", () => breakOff(exchange));
  answer.on("data", (chunk: Buffer) => {
    if (activity === undefined) return;
    activity.bytesOut += chunk.length;
    activity.lastDataAt = Date.now();
  });
  answer.once("end", () => addTrailers(response, buffersOf(answer.rawTrailers), policy));
  answer.pipe(response);
}

/** What Node's client read as latin-1, as it was. */
export function buffersOf(texts: readonly string[]): Buffer[] {
  return texts.map((text) => Buffer.from(text, "latin1"));
}
