import { STATUS_CODES } from "node:http";
import type { Readable } from "node:stream";
import { type Dispatcher, errors } from "undici";
import { type DownstreamPolicy, downstreamHeaders } from "./downstream-headers.ts";
import type { Exchange } from "./exchange.ts";
import { InterimAnswers } from "./interim-answers.ts";
import { closeLingering } from "./linger.ts";
import type { Refuser } from "./refuse.ts";
import { requestBody } from "./request-body.ts";
import { addTrailers } from "./trailers.ts";
import { upstreamFailure } from "./upstream-failure.ts";
import type { UpstreamHandler } from "./upstream-pool.ts";
import type { ConnectionError } from "./upstream-pools.ts";

export type RelayOptions = {
  readonly dispatcher: Dispatcher;
  /** The request's, name and value in turn. */
  readonly headers: string[];
  readonly policy: DownstreamPolicy;
  readonly refuser: Refuser;
  /** How long nothing may move before the head of the answer and behind it; absent: for ever. */
  readonly patience?: { readonly headMs: number; readonly bodyMs: number };
};

/** Carries one plain request over a connection of the dispatcher, and its answer back. */
export function relay(exchange: Exchange, options: RelayOptions): void {
  new Relay(exchange, options).send();
}

class Relay implements UpstreamHandler {
  isOver = false;
  readonly #exchange: Exchange;
  readonly #options: RelayOptions;
  #body: Readable | null = null;
  #controller: Dispatcher.DispatchController | undefined;
  /** A byte of an answer has come. */
  #answering = false;
  #resent = false;
  #headOnly = false;
  #interim: InterimAnswers | undefined;

  constructor(exchange: Exchange, options: RelayOptions) {
    this.#exchange = exchange;
    this.#options = options;
  }

  send(): void {
    const { request, response, head, activity } = this.#exchange;
    if (response.destroyed) return;
    this.#controller = undefined;
    this.isOver = false;
    response.on("close", this.#clientClosed);
    this.#body = head.body.kind === "none" ? null : requestBody(this.#exchange);
    if (activity) {
      activity.lastDataAt = Date.now();
      activity.standsStill = this.#standsStill;
    }
    this.#options.dispatcher.dispatch(
      {
        method: request.method as Dispatcher.HttpMethod,
        path: head.target,
        headers: this.#options.headers,
        body: this.#body,
        // The connection is kept after HEAD and after methods that seldom have a body.
        reset: false,
      },
      this,
    );
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#exchange.response.destroyed) controller.abort(new Error("the client is gone"));
  }

  onResponseStarted(): void {
    this.#answering = true;
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, _: unknown, reason?: string): void {
    const { request, response, activity } = this.#exchange;
    const headers = downstreamHeaders(controller.rawHeaders as Buffer[], status, this.#options.policy);
    if (status < 200) return this.#inform(status, headers);
    if (activity) activity.lastDataAt = Date.now();
    if (!request.complete) {
      // The app answered before it had read the whole request: the rest of it must not be taken for the next one.
      headers.push("Connection", "close");
      closeLingering(request);
    }
    response.sendDate = false;
    response.writeHead(status, reasonBytes(reason ?? "", status), headers);
    this.#headOnly = request.method === "HEAD" || status === 204 || status === 304;
    // The head goes out when it comes, and together with the first bytes of the body when they came with it.
    process.nextTick(flushHead, response);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    const { response, activity } = this.#exchange;
    if (activity) {
      activity.bytesOut += chunk.length;
      activity.lastDataAt = Date.now();
    }
    // What was read before the pause still comes.
    if (this.#headOnly || response.write(chunk) || controller.paused) return;
    controller.pause();
    response.once("drain", () => controller.resume());
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    const { response } = this.#exchange;
    this.isOver = true;
    const trailers = controller.rawTrailers as Buffer[] | null;
    if (trailers?.length) addTrailers(response, trailers, this.#options.policy);
    response.end();
  }

  onResponseError(_: unknown, error: ConnectionError): void {
    const { response, request, redial } = this.#exchange;
    this.isOver = true;
    response.off("close", this.#clientClosed);
    this.#body?.destroy();
    if (response.destroyed) return;
    if (response.headersSent) return breakOff(this.#exchange);
    const failure = upstreamFailure(error, this.#controller !== undefined, this.#answering);
    const untouched = this.#body === null || !request.readableDidRead;
    if (failure.kind === "unreachable" && untouched) return redial!(this.#exchange);
    if (failure.kind === "stale-connection" && this.#body === null && isIdempotent(request.method!) && !this.#resent) {
      this.#resent = true;
      return this.send();
    }
    const known = failure.kind === "refused" ? failure : undefined;
    this.#options.refuser.refuse(this.#exchange, known?.code ?? "upstream_reset", known && { detail: known.detail });
  }

  #inform(status: number, headers: string[]): void {
    const { response, request } = this.#exchange;
    this.#interim ??= new InterimAnswers();
    this.#interim.take(headers);
    // HTTP/1.0 knows no interim answers (RFC 9110 §15.2).
    if (request.httpVersionMinor > 0) response.writeInformation(status, headers);
  }

  /** Whoever should have done something is to blame: the client in the middle of its body or of its answer, or else the app. */
  readonly #standsStill = (ms: number) => {
    const { request, response } = this.#exchange;
    const { headMs, bodyMs } = this.#options.patience!;
    if (response.headersSent) {
      if (ms < bodyMs) return;
      if (response.writableNeedDrain || response.writableEnded) breakOff(this.#exchange);
      else this.#controller?.abort(new errors.BodyTimeoutError());
    } else if (request.complete || (this.#body?.readableLength ?? 0) > 0) {
      if (ms >= headMs) this.#controller?.abort(new errors.HeadersTimeoutError());
    } else if (ms >= bodyMs) {
      const detail = "The request's body did not arrive.";
      this.#options.refuser.refuse(this.#exchange, "bad_request", { status: 408, detail });
      this.#controller?.abort(new Error("the client stalled"));
    }
  };

  readonly #clientClosed = () => {
    if (!this.isOver && !this.#exchange.response.writableFinished)
      this.#controller?.abort(new Error("the client is gone"));
  };
}

/**
 * The reason phrase as latin-1, which is how Node writes it. The HTTP client read it as UTF-8: what was UTF-8 keeps its bytes,
 * what was not is lost, and then the status's own phrase stands in.
 */
function reasonBytes(reason: string, status: number): string {
  if (!/[^\x00-\x7f]/.test(reason)) return reason;
  return reason.includes("\ufffd") ? (STATUS_CODES[status] ?? "") : Buffer.from(reason).toString("latin1");
}

/** Sends the head now. Node's own `flushHeaders` would write its bytes as UTF-8. */
export function flushHead(response: Exchange["response"]): void {
  if (!response.destroyed && !response.writableEnded) response.write("", "latin1");
}

/** The answer is cut, visibly: after a clean end a body without a length would look whole. */
export function breakOff({ response }: Exchange): void {
  const { socket } = response;
  if (socket && "resetAndDestroy" in socket) socket.resetAndDestroy();
  response.destroy();
}

/** RFC 9110 §9.2.2. */
function isIdempotent(method: string): boolean {
  return method === "GET" || method === "HEAD" || method === "OPTIONS" || method === "PUT" || method === "DELETE";
}
