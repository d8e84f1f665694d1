import type { Dispatcher } from "undici";
import { type DownstreamPolicy, downstreamHeaders } from "../downstream-headers.ts";
import type { Exchange, Handler } from "../exchange.ts";
import { closeLingering } from "../linger.ts";
import type { Refuser } from "../refuse.ts";
import { requestBody } from "../request-body.ts";
import { upstreamFailure } from "../upstream-failure.ts";
import { upstreamHeaders } from "../upstream-headers.ts";
import type { ConnectionError, UpstreamPools } from "../upstream-pools.ts";

export type ForwardOptions = {
  readonly pools: UpstreamPools;
  readonly refuser: Refuser;
  /** Tunnels an upgrade. */
  readonly tunnel: Handler;
};

/** The end of the chain: passes the exchange to the app and its answer back. */
export function forward({ pools, refuser, tunnel }: ForwardOptions): Handler {
  return (exchange) => {
    if (exchange.activity) exchange.activity.forwarded = true;
    if (exchange.upgrade !== undefined) return tunnel(exchange);
    const target = exchange.target!;
    const pool = pools.for(target);
    if (pool === undefined) return exchange.redial!();
    const policy: DownstreamPolicy = {
      noindex: target.route.wakePolicy.noindex ?? true,
      hostname: hostname(exchange.head.host),
    };
    forwardThrough(pool, exchange, upstreamHeaders(exchange, target), policy, refuser);
  };
}

function hostname(host: string): string {
  const colon = host.lastIndexOf(":");
  return (colon < 0 ? host : host.slice(0, colon)).toLowerCase();
}

/** Forwards one plain request over a connection of `dispatcher`, with these request headers. */
export function forwardThrough(
  dispatcher: Dispatcher,
  exchange: Exchange,
  headers: string[],
  policy: DownstreamPolicy,
  refuser: Refuser,
): void {
  const { request, head } = exchange;
  if (exchange.response.destroyed) return;
  const body = head.body.kind === "none" ? null : requestBody(exchange);
  const relay = new Relay(exchange, policy, refuser, (again) => {
    body?.destroy();
    if (again === "redial") exchange.redial?.();
    else forwardThrough(dispatcher, exchange, headers, policy, refuser);
  });
  // reset: false keeps the connection after HEAD and after requests with an unusual body.
  dispatcher.dispatch(
    { method: request.method as Dispatcher.HttpMethod, path: head.target, headers, body, reset: false },
    relay,
  );
}

/** Carries one answer from the app to the client. */
class Relay implements Dispatcher.DispatchHandler {
  readonly #exchange: Exchange;
  readonly #policy: DownstreamPolicy;
  readonly #refuser: Refuser;
  readonly #again: (how: "redial" | "resend") => void;
  #controller: Dispatcher.DispatchController | undefined;
  #answered = false;
  #headOnly = false;

  constructor(
    exchange: Exchange,
    policy: DownstreamPolicy,
    refuser: Refuser,
    again: (how: "redial" | "resend") => void,
  ) {
    this.#exchange = exchange;
    this.#policy = policy;
    this.#refuser = refuser;
    this.#again = again;
    exchange.response.once("close", this.#clientClosed);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#exchange.response.destroyed) controller.abort(new Error("the client is gone"));
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, _: unknown, reason?: string): void {
    const { request, response, activity } = this.#exchange;
    const headers = downstreamHeaders(controller.rawHeaders as Buffer[], status, this.#policy);
    if (status < 200) return this.#inform(status, headers);
    this.#answered = true;
    if (activity) activity.lastDataAt = Date.now();
    response.sendDate = false;
    // The app answered before it had read the whole request: the rest of it must not be taken for the next one.
    if (!request.complete) {
      headers.push("Connection", "close");
      closeLingering(request);
    }
    response.writeHead(status, reason ?? "", headers);
    this.#headOnly = request.method === "HEAD" || status === 204 || status === 304;
    response.on("drain", () => controller.resume());
    // Flushed when it comes, and together with the first bytes of the body when they came with it.
    process.nextTick(flush, response);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    const { response, activity } = this.#exchange;
    if (activity) {
      activity.bytesOut += chunk.length;
      activity.lastDataAt = Date.now();
    }
    if (this.#headOnly) return;
    if (!response.write(chunk)) controller.pause();
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    const { response } = this.#exchange;
    response.off("close", this.#clientClosed);
    const trailers = controller.rawTrailers as Buffer[] | null;
    if (trailers?.length) addTrailers(response, trailers);
    response.end();
  }

  onResponseError(_: unknown, error: ConnectionError): void {
    const { response, request } = this.#exchange;
    response.off("close", this.#clientClosed);
    if (response.destroyed) return;
    if (response.headersSent) return destroyVisibly(this.#exchange);
    const failure = upstreamFailure(error, this.#controller !== undefined, this.#answered);
    const untouched = !request.readableDidRead || this.#exchange.head.body.kind === "none";
    if (failure.kind === "unreachable" && untouched) return this.#again("redial");
    if (failure.kind === "stale-connection" && untouched && isIdempotent(request.method!)) return this.#again("resend");
    const detail = failure.kind === "refused" ? failure : undefined;
    this.#refuser.refuse(this.#exchange, detail?.code ?? "upstream_reset", detail && { detail: detail.detail });
  }

  #inform(status: number, headers: string[]): void {
    const { response, request } = this.#exchange;
    if (request.httpVersionMinor === 0 || status === 101) return;
    response.writeInformation(status, headers);
  }

  readonly #clientClosed = () => {
    if (!this.#exchange.response.writableFinished) this.#controller?.abort(new Error("the client is gone"));
  };
}

function flush(response: Exchange["response"]): void {
  if (!response.destroyed && !response.writableEnded) response.flushHeaders();
}

/** The answer is cut: a reset, because a clean end would make a body without a length look whole. */
function destroyVisibly({ response }: Exchange): void {
  const { socket } = response;
  if (socket && "resetAndDestroy" in socket) socket.resetAndDestroy();
  response.destroy();
}

/** RFC 9110 §9.2.2. */
function isIdempotent(method: string): boolean {
  return method === "GET" || method === "HEAD" || method === "OPTIONS" || method === "PUT" || method === "DELETE";
}

/** A trailer that could not be a header is left out: the answer is whole without it (RFC 9110 §6.5.1). */
function addTrailers(response: Exchange["response"], raw: readonly Buffer[]): void {
  const pairs: [string, string][] = [];
  for (let index = 0; index < raw.length; index += 2) {
    pairs.push([raw[index]!.toString("latin1"), raw[index + 1]!.toString("latin1")]);
  }
  try {
    response.addTrailers(pairs);
  } catch {
    response.addTrailers([]);
  }
}
