import { once } from "node:events";
import type { RequestClass, Route } from "#contract/gateway-api.ts";
import type { SandboxId } from "#contract/sandbox-id.ts";
import type { Exchange, Handler, Middleware } from "../exchange.ts";
import type { Page, Pages } from "../pages/pages.ts";
import type { PortWait, Ready } from "../port-wait.ts";
import { publicState, type RefusalDetails, type Refuser } from "../refuse.ts";
import { isNavigation } from "../request-class.ts";
import type { RoutingTable } from "../routing-table.ts";
import type { Wakes } from "../wakes.ts";

export type WakeOptions = {
  readonly table: RoutingTable;
  readonly wakes: Wakes;
  readonly refuser: Refuser;
  readonly pages: Pages;
  readonly mayWake: (route: Route, kind: RequestClass) => boolean;
  /** Called when a request of this sandbox, forwarded already, is held again. */
  readonly onWithdrawn: (id: SandboxId) => void;
  readonly holdNavigationMs: number;
  readonly holdSeconds: number;
  /** The most requests held at once: for one sandbox, and for all. */
  readonly holdPerSandbox: number;
  readonly holdTotal: number;
};

/**
 * Holds a request until its port answers. The request is not consumed meanwhile: its body stays in the socket. A
 * navigation that waits too long gets the waking page, which goes on waiting in its place.
 */
export function wake(options: WakeOptions): Middleware {
  const { wakes, table, refuser } = options;
  const held = new HeldRequests(options);
  return (next) => {
    const attempt: Handler = (exchange) => {
      const target = exchange.target!;
      // Whoever was refused while it was held is answered already.
      if (exchange.response.headersSent) return;
      const route = table.get(target.id);
      if (route === undefined) return refuser.refuse(exchange, "not_found");
      target.route = route;
      if (wakes.isReachable(route, target.port)) return next(exchange);
      if (route.status !== "running" && !options.mayWake(route, exchange.class!)) {
        return letSleep(exchange, options);
      }
      if (!held.enter(target.id)) return refuser.refuse(exchange, "busy", { retryAfterSeconds: 2 });
      hold(exchange);
    };
    const hold: Handler = (exchange) => {
      const { id, port } = exchange.target!;
      exchange.heldSince ??= Date.now();
      const { heldSince: since, credential } = exchange;
      const wait = wakes.join(id, port, exchange.class!, { credential });
      void waitFor(wait, exchange, since, options).then((waited) => {
        held.leave(id);
        // The port answers now, but a stop may have begun since: look again.
        if (waited.kind === "ready") attempt(exchange);
        else conclude(waited, exchange, since, options);
      });
    };
    const redial: Handler = (exchange) => {
      const { id, port } = exchange.target!;
      if (exchange.activity) exchange.activity.forwarded = false;
      options.onWithdrawn(id);
      wakes.forget(id, port);
      attempt(exchange);
    };
    return (exchange) => {
      exchange.redial = redial;
      attempt(exchange);
    };
  };
}

/**
 * Tells who may not wake a sandbox that it sleeps. A page that loads itself again gets one that waits for somebody to look
 * at it, or that follows the wake of somebody else.
 */
function letSleep(exchange: Exchange, { refuser, pages, mayWake }: WakeOptions): void {
  const { id, port, route } = exchange.target!;
  if (exchange.class !== "self-reload" || !mayWake(route, "navigation")) {
    return refuser.refuse(exchange, "asleep", { retryAfterSeconds: 5, action: "wake" });
  }
  const isAsleep = publicState(route.status) === "asleep" || route.status === "error";
  const code = isAsleep ? "asleep" : "waking";
  const page = pages.waking({
    sandboxId: id,
    port,
    url: exchange.head.target,
    phase: isAsleep ? "asleep" : "starting",
  });
  refuser.page(exchange, code, 503, page, ["Retry-After", isAsleep ? "5" : "1"]);
}

type Waited = Ready | { readonly kind: "timed-out"; readonly wait: PortWait } | { readonly kind: "aborted" };

async function waitFor(wait: PortWait, exchange: Exchange, begun: number, options: WakeOptions): Promise<Waited> {
  const { response, upgrade } = exchange;
  const limitMs = getsWakingPage(exchange) ? options.holdNavigationMs : options.holdSeconds * 1000;
  const done = new AbortController();
  const { signal } = done;
  const timedOut = new Promise<Waited>((resolve) => {
    const timer = setTimeout(resolve, Math.max(0, begun + limitMs - Date.now()), { kind: "timed-out", wait });
    signal.addEventListener("abort", () => clearTimeout(timer));
  });
  const gone = once(upgrade?.socket ?? response, "close", { signal }).then(
    (): Waited => ({ kind: "aborted" }),
    (): Waited => ({ kind: "aborted" }),
  );
  try {
    return response.destroyed ? { kind: "aborted" } : await Promise.race([wait.outcome, timedOut, gone]);
  } finally {
    wait.leave();
    done.abort();
  }
}

function conclude(
  waited: Exclude<Waited, { kind: "ready" }>,
  exchange: Exchange,
  begun: number,
  options: WakeOptions,
): void {
  const { refuser, pages, table } = options;
  const target = exchange.target!;
  target.route = table.get(target.id) ?? target.route;
  switch (waited.kind) {
    case "refused":
      return refuser.refuse(exchange, waited.code, withAction(waited.details));
    case "timed-out":
      if (!getsWakingPage(exchange)) return refuser.refuse(exchange, ...whyTimedOut(waited.wait, options));
      if (waited.wait.phase === "control_away") {
        return refuser.refuse(exchange, "control_unavailable", withAction({ retryAfterSeconds: 5 }));
      }
      return refuser.page(exchange, "waking", 503, wakingPage(waited.wait, exchange, begun, pages), [
        "Retry-After",
        "1",
      ]);
    case "aborted":
      return;
    default: {
      const never: never = waited;
      throw new Error(`unknown outcome: ${JSON.stringify(never)}`);
    }
  }
}

function wakingPage(wait: PortWait, { target, head }: Exchange, begun: number, pages: Pages): Page {
  const phase = wait.phase === "waiting_for_port" ? wait.phase : "starting";
  return pages.waking({
    sandboxId: wait.id,
    port: target!.port,
    url: head.target,
    phase,
    elapsedMs: Date.now() - begun,
  });
}

/** The page asks again by GET: a form that was posted would be lost behind it. */
function getsWakingPage(exchange: Exchange): boolean {
  return isNavigation(exchange.class) && exchange.request.method === "GET";
}

function whyTimedOut(
  wait: PortWait,
  { holdSeconds }: WakeOptions,
): ["no_listener" | "waking_timeout" | "control_unavailable", RefusalDetails] {
  switch (wait.phase) {
    case "waiting_for_port":
      return ["no_listener", { listeningPorts: wait.listeningPorts ?? [], retryAfterSeconds: 5 }];
    case "control_away":
      return ["control_unavailable", { retryAfterSeconds: 5 }];
    case "starting":
      return [
        "waking_timeout",
        { retryAfterSeconds: 5, detail: `The sandbox did not answer within ${holdSeconds} seconds.` },
      ];
    default: {
      const never: never = wait.phase;
      throw new Error(`unknown phase: ${never}`);
    }
  }
}

function withAction(details: RefusalDetails): RefusalDetails {
  return { ...details, action: "retry" };
}

/** Counts the requests that are held, for one sandbox and in total. */
class HeldRequests {
  readonly #limits: { readonly holdPerSandbox: number; readonly holdTotal: number };
  readonly #bySandbox = new Map<string, number>();
  #total = 0;

  constructor(limits: { readonly holdPerSandbox: number; readonly holdTotal: number }) {
    this.#limits = limits;
  }

  /** False when a bound is reached; otherwise `leave` must follow. */
  enter(id: string): boolean {
    const held = this.#bySandbox.get(id) ?? 0;
    if (held >= this.#limits.holdPerSandbox || this.#total >= this.#limits.holdTotal) return false;
    this.#bySandbox.set(id, held + 1);
    this.#total++;
    return true;
  }

  leave(id: string): void {
    const held = this.#bySandbox.get(id)! - 1;
    if (held === 0) this.#bySandbox.delete(id);
    else this.#bySandbox.set(id, held);
    this.#total--;
  }
}
