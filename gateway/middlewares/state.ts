import type { Exchange, Middleware, Target } from "../exchange.ts";
import { answer, type Refuser } from "../refuse.ts";
import { statePath } from "../request-class.ts";
import { StateStream, type StateStreamOptions } from "../state-stream.ts";

export type StateOptions = StateStreamOptions & { readonly refuser: Refuser };

/** So many pages may follow one sandbox's wake at a time, in each worker. */
const streamsPerSandbox = 100;

/** Answers the state path: what the sandbox does right now, once or as a stream of events. It never wakes anything. */
export function state(options: StateOptions): Middleware {
  const streams = new Map<string, number>();
  return (next) => (exchange) => {
    const { request, head, target } = exchange;
    if (exchange.upgrade !== undefined || head.target.split("?", 1)[0] !== statePath) return next(exchange);
    if (request.method !== "GET" && request.method !== "HEAD") {
      return options.refuser.refuse(exchange, "bad_request", { detail: "The state can only be read." });
    }
    if (request.method === "HEAD" || !request.headers.accept?.includes("text/event-stream"))
      return tell(exchange, target!);
    const { id } = target!;
    const open = streams.get(id) ?? 0;
    if (open >= streamsPerSandbox) return options.refuser.refuse(exchange, "busy", { retryAfterSeconds: 5 });
    streams.set(id, open + 1);
    exchange.response.once("close", () => {
      const left = streams.get(id)! - 1;
      if (left === 0) streams.delete(id);
      else streams.set(id, left);
    });
    new StateStream(exchange, options).begin();
  };
}

function tell(exchange: Exchange, { id, route }: Target): void {
  answer(exchange, "state", 200, ["Content-Type", "application/json"], JSON.stringify({ id, status: route.status }));
}
