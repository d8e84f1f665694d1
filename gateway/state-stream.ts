import type { Logger } from "pino";
import type { ProgressMessage, Route } from "#contract/gateway-api.ts";
import type { ControlClient } from "./control-client.ts";
import type { Exchange, Target } from "./exchange.ts";
import { refusalTexts } from "./pages/pages.ts";
import { pause } from "./pause.ts";
import type { Phase, Ready } from "./port-wait.ts";
import { ownHeaders } from "./refuse.ts";
import type { RoutingTable } from "./routing-table.ts";
import type { Wakes } from "./wakes.ts";

export type StateStreamOptions = {
  readonly table: RoutingTable;
  readonly wakes: Wakes;
  readonly control: ControlClient;
  readonly logger: Logger;
  /** The streams that are open, kept by whoever may have to end them. */
  readonly open: Set<Exchange>;
};

/** What the waking page reads. */
type State = {
  readonly status: string;
  readonly phase: "queued" | "asleep" | "failed" | "ready" | Phase;
  readonly queue_position?: number;
  readonly usual_start_ms?: number;
  readonly reason?: {
    readonly code: string;
    readonly message: string;
    readonly retry_after_seconds?: number;
    /** Where something listens although nothing does where it is looked for. */
    readonly listening_ports?: readonly number[];
  };
};

const commentEveryMs = 15_000;
const controlRetryMs = 500;
const waitAgainMs = 2_000;

/**
 * Server-sent events about one port of a sandbox: `state` for every change and `log` for every line, until the client
 * leaves. It watches, and wakes at most once: at its beginning, when it is asked to.
 */
export class StateStream {
  readonly #exchange: Exchange;
  readonly #target: Target;
  readonly #options: StateStreamOptions;
  readonly #closed = new AbortController();
  #last = "";
  #waiting = false;
  #fromControl: Partial<State> = {};

  constructor(exchange: Exchange, options: StateStreamOptions) {
    this.#exchange = exchange;
    this.#target = exchange.target!;
    this.#options = options;
  }

  begin({ wakes }: { wakes: boolean }): void {
    const { response } = this.#exchange;
    const { table } = this.#options;
    response.sendDate = true;
    response.writeHead(200, "OK", [
      ...["Content-Type", "text/event-stream", "X-Accel-Buffering", "no"],
      ...ownHeaders(this.#exchange, "state"),
    ]);
    const onRoute = (id: string) => id === this.#target.id && this.#update();
    table.on("route", onRoute);
    this.#options.open.add(this.#exchange);
    const comments = setInterval(() => response.write(":\n\n"), commentEveryMs);
    response.once("close", () => {
      table.off("route", onRoute);
      clearInterval(comments);
      this.#options.open.delete(this.#exchange);
      this.#closed.abort();
    });
    this.#update();
    const route = table.get(this.#target.id);
    if (wakes && route !== undefined) void this.#awaitPort(route, { watching: false });
    void this.#followControl();
  }

  /** Says how things stand, and begins to wait for the port of a sandbox that runs or will. */
  #update(): void {
    const route = this.#options.table.get(this.#target.id);
    if (route === undefined) {
      this.#send({
        status: "deleted",
        phase: "failed",
        reason: { code: "not_found", message: "The sandbox was deleted." },
      });
      this.#exchange.response.end();
      return;
    }
    this.#send(this.#describe(route));
    if (route.status === "running") void this.#awaitPort(route);
  }

  #describe(route: Route): State {
    const { status, reason } = route;
    const why = reason === null ? {} : { reason: toReason(reason) };
    switch (status) {
      case "running":
        return { ...this.#fromControl, status, phase: "waiting_for_port" };
      case "creating":
      case "waking":
      case "draining":
        return { phase: "starting", ...this.#fromControl, status };
      case "stopped":
      case "paused":
        return { status, phase: reason === null ? "asleep" : "failed", ...why };
      case "error":
        return { status, phase: "failed", ...why };
      default: {
        const never: never = status;
        throw new Error(`unknown status: ${never}`);
      }
    }
  }

  async #awaitPort(route: Route, { watching = true } = {}): Promise<void> {
    if (this.#waiting) return;
    this.#waiting = true;
    const kind = watching ? "monitor" : "navigation";
    const wait = this.#options.wakes.join(this.#target.id, this.#target.port, kind, { watching });
    const leave = () => wait.leave({ watching });
    this.#closed.signal.addEventListener("abort", leave, { once: true });
    const outcome = await wait.outcome;
    this.#closed.signal.removeEventListener("abort", leave);
    if (this.#closed.signal.aborted) return;
    leave();
    this.#waiting = false;
    this.#conclude(outcome, this.#options.table.get(this.#target.id) ?? route);
  }

  #conclude(outcome: Ready, { status }: Route): void {
    if (outcome.kind === "ready") return this.#send({ status: "running", phase: "ready" });
    if (outcome.code === "asleep") return this.#update();
    const message = outcome.details.detail ?? refusalTexts[outcome.code].detail;
    const { retryAfterSeconds, listeningPorts } = outcome.details;
    this.#send({
      status,
      phase: "failed",
      reason: toReason({ code: outcome.code, message, retryAfterSeconds, listeningPorts }),
    });
    // The app may still come: the page goes on waiting for it.
    void pause(waitAgainMs, this.#closed.signal).then(() => this.#closed.signal.aborted || this.#update());
  }

  /** Control knows the queue and the log; without it the table still tells the rest. */
  async #followControl(): Promise<void> {
    const { control, logger } = this.#options;
    const { signal } = this.#closed;
    while (!signal.aborted) {
      try {
        for await (const message of control.progress(this.#target.id, signal)) this.#take(message);
      } catch (error) {
        if (!signal.aborted) logger.debug({ err: error }, "a progress stream ended");
      }
      await pause(controlRetryMs, signal);
    }
  }

  #take(message: ProgressMessage): void {
    if (message.type === "log") {
      const { stream, time, line } = message;
      return this.#write("log", { stream, time, line });
    }
    const { phase, queuePosition, usualStartMs } = message;
    this.#fromControl = {
      ...(phase === "queued" && { phase }),
      ...(queuePosition !== undefined && { queue_position: queuePosition }),
      ...(usualStartMs !== undefined && { usual_start_ms: usualStartMs }),
    };
    const route = this.#options.table.get(this.#target.id);
    if (route !== undefined && route.status !== "running") this.#send(this.#describe(route));
  }

  #send(state: State): void {
    const text = JSON.stringify(state);
    if (text === this.#last) return;
    this.#last = text;
    this.#write("state", state);
  }

  #write(event: string, payload: object): void {
    const { response } = this.#exchange;
    // A reader that does not read loses lines, never the stream.
    if (response.destroyed || (event === "log" && response.writableNeedDrain)) return;
    response.write(`event: ${event}\ndata: ${JSON.stringify(payload)}\n\n`);
  }
}

type Reason = {
  readonly code: string;
  readonly message: string;
  readonly retryAfterSeconds?: number | undefined;
  readonly listeningPorts?: readonly number[] | undefined;
};

function toReason({ code, message, retryAfterSeconds, listeningPorts }: Reason): State["reason"] {
  return {
    ...{ code, message },
    ...(retryAfterSeconds !== undefined && { retry_after_seconds: retryAfterSeconds }),
    ...(listeningPorts !== undefined && { listening_ports: listeningPorts }),
  };
}
