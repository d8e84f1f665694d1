import type { DownstreamPolicy } from "../downstream-headers.ts";
import { downstreamHeaders } from "../downstream-headers.ts";
import type { Exchange, Handler, Target } from "../exchange.ts";
import { buffersOf, openConnection, passAnswer } from "../own-connection.ts";
import type { Refuser } from "../refuse.ts";
import { breakOff } from "../relay.ts";
import { upstreamFailure } from "../upstream-failure.ts";
import { upstreamHeaders } from "../upstream-headers.ts";
import type { ConnectionError } from "../upstream-pools.ts";

export type ExpectOptions = {
  readonly refuser: Refuser;
  readonly connectTimeoutMs: number;
  readonly headTimeoutSeconds: number;
  readonly bodyIdleSeconds: number;
  /** Whether a target is still where its route says. */
  readonly isCurrent: (target: Target) => boolean;
};

/**
 * Carries requests whose client asked for `100 Continue` before it sends its body (RFC 9110 §10.1.1): the app decides,
 * and what it decides reaches the client.
 */
export function expectContinue(options: ExpectOptions): Handler {
  const { refuser } = options;
  return (exchange) => {
    const target = exchange.target!;
    const endpoint = target.route.endpoints.find(({ port }) => port === target.port);
    if (endpoint === undefined) return exchange.redial!(exchange);
    const { request, response, head, activity } = exchange;
    const headers = upstreamHeaders(exchange, target);
    headers.push("Expect", "100-continue", "Connection", "close");
    if (head.body.kind === "chunked") headers.push("Transfer-Encoding", "chunked");
    const isCurrent = () => options.isCurrent(target);
    const wanted = { method: request.method!, path: head.target, headers, isCurrent };
    const upstream = openConnection(endpoint, { ...options, ...wanted });
    const policy = {
      noindex: target.route.wakePolicy.noindex ?? true,
      host: head.host,
      cors: exchange.cors,
    };
    const clientClosed = () => upstream.request.destroy();
    response.once("close", clientClosed);
    const fail = (error: ConnectionError) => {
      response.off("close", clientClosed);
      request.unpipe(upstream.request);
      upstream.request.destroy();
      if (response.headersSent) return upstream.isAnswered() ? undefined : breakOff(exchange);
      if (response.destroyed) return;
      const failure = upstreamFailure(error, upstream.isConnected(), false);
      if (failure.kind === "unreachable") return exchange.redial!(exchange);
      const known = failure.kind === "refused" ? failure : undefined;
      refuser.refuse(exchange, known?.code ?? "upstream_reset", known && { detail: known.detail });
    };
    const standsStill = (ms: number) => {
      if (ms < options.bodyIdleSeconds * 1000 || request.complete || response.headersSent) return;
      refuser.refuse(exchange, "bad_request", { status: 408, detail: "The request's body did not arrive." });
      upstream.request.destroy();
    };
    const countIn = (chunk: Buffer) => {
      if (activity === undefined) return;
      activity.bytesIn += chunk.length;
      activity.lastDataAt = Date.now();
    };
    upstream.request.on("error", fail);
    // A client that is tired of waiting sends its body without having been asked to: that goes to the app as well.
    upstream.request.once("socket", (socket) =>
      socket.once("connect", () => {
        if (upstream.isConnected()) request.on("data", countIn).pipe(upstream.request);
      }),
    );
    upstream.request.once("continue", () => {
      response.writeContinue();
      if (activity) activity.standsStill = standsStill;
    });
    relayAnswers(exchange, upstream.request, policy, fail);
  };
}

function relayAnswers(
  exchange: Exchange,
  upstream: ReturnType<typeof openConnection>["request"],
  policy: DownstreamPolicy,
  fail: (error: Error) => void,
): void {
  const guarded = (act: () => void) => {
    try {
      act();
    } catch (error) {
      fail(error as Error);
    }
  };
  upstream.on("information", ({ statusCode, rawHeaders }) => {
    // 100 has an event of its own.
    if (statusCode === 100) return;
    const raw = buffersOf(rawHeaders);
    guarded(() => exchange.response.writeInformation(statusCode, downstreamHeaders(raw, statusCode, policy)));
  });
  upstream.once("response", (answer) => {
    exchange.request.unpipe(upstream);
    guarded(() => passAnswer(exchange, answer, policy));
  });
  upstream.once("upgrade", (_, socket) => {
    socket.destroy();
    fail(new Error("the app switched protocols without being asked"));
  });
}
