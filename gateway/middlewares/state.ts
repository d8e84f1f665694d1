import type { RequestClass, Route } from "#contract/gateway-api.ts";
import type { Exchange, Middleware, Target } from "../exchange.ts";
import { answer, type Refuser } from "../refuse.ts";
import { statePath } from "../request-class.ts";
import { StateStream, type StateStreamOptions } from "../state-stream.ts";

export type StateOptions = StateStreamOptions & {
  readonly refuser: Refuser;
  readonly mayWake: (route: Route, kind: RequestClass) => boolean;
};

/** So many pages may follow one sandbox's wake at a time, in each worker. */
const streamsPerSandbox = 100;

/**
 * Answers the state path: what the sandbox does right now, once or as a stream of events. It wakes nothing, unless the
 * query says `wake`: so a page follows the wake that it asks for, where a navigation may wake the sandbox.
 */
export function state(options: StateOptions): Middleware {
  const streams = new Map<string, number>();
  return (next) => (exchange) => {
    const { request, head, target } = exchange;
    const [path, query = ""] = head.target.split("?", 2);
    if (exchange.upgrade !== undefined || path !== statePath) return next(exchange);
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
    const wakes = new URLSearchParams(query).has("wake") && options.mayWake(target!.route, "navigation");
    new StateStream(exchange, options).begin({ wakes });
  };
}

function tell(exchange: Exchange, { id, route }: Target): void {
  answer(exchange, "state", 200, ["Content-Type", "application/json"], JSON.stringify({ id, status: route.status }));
}
