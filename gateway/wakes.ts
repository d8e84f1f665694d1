import { EventEmitter } from "node:events";
import type { Logger } from "pino";
import type { CredentialPlace } from "#contract/access.ts";
import type { RefusalCode } from "#contract/error-codes.ts";
import type { Endpoint, RequestClass, Route, SandboxActivity, WakeOutcome } from "#contract/gateway-api.ts";
import type { SandboxId } from "#contract/sandbox-id.ts";
import { type ControlClient, ControlUnavailableError } from "./control-client.ts";
import { dial } from "./dial.ts";
import { pause } from "./pause.ts";
import { PortWait, type Ready } from "./port-wait.ts";
import type { RefusalDetails } from "./refuse.ts";
import type { RoutingTable } from "./routing-table.ts";

export type WakesOptions = {
  readonly table: RoutingTable;
  readonly control: ControlClient;
  readonly connectTimeoutMs: number;
  readonly logger: Logger;
};

export type JoinOptions = {
  readonly watching?: boolean;
  /** Where the credential was that let the request in; absent for public previews. */
  readonly credential?: CredentialPlace | undefined;
};

export type Answered = NonNullable<SandboxActivity["answered"]>;

/** What is known of a running sandbox's present run. */
type Run = {
  readonly run: number;
  /** Epoch milliseconds at which it was first heard of. */
  readonly since: number;
  /** Those that took a connection: requests go straight to them. */
  ports: Set<number> | undefined;
};

const shortestDialPauseMs = 2;
const longestDialPauseMs = 100;
/** What an app's start may seem longer by, at most, because its port is only looked at now and then. */
const dialPauseShare = 0.03;
/** A container's first packets may be lost while its network comes up: a new attempt is sooner than TCP's own, after 1 s. */
const attemptMs = 250;
/** How long a missing control is looked for before the wake is refused. */
const controlGraceMs = 5_000;
const controlRetryMs = 100;
/** An app gets so long to open its port before somebody asks which ones it did open. */
const settledMs = 2_000;
const listenersEveryMs = 1_000;

/**
 * Waits until a port of a sandbox answers, waking the sandbox when it sleeps. All who wait for one port share one wait,
 * and all who wait for one sandbox share one wake, so every one of them learns what truly happened; a wait lives as long
 * as anybody takes part in it. Emits `answered` when an app is seen to take the first connection of a run.
 */
export class Wakes extends EventEmitter<{ answered: [SandboxId, Answered] }> {
  readonly #options: WakesOptions;
  readonly #waits = new Map<string, PortWait>();
  readonly #wakes = new Map<SandboxId, Promise<WakeOutcome>>();
  readonly #runs = new Map<SandboxId, Run>();

  constructor(options: WakesOptions) {
    super();
    this.#options = options;
    options.table.on("route", (id) => {
      const route = options.table.get(id);
      if (route?.status !== "running") {
        if (route === undefined || this.#runs.get(id)?.run !== route.run) this.#runs.delete(id);
      } else if (this.#runs.get(id)?.run !== route.run) {
        this.#runs.set(id, { run: route.run, since: Date.now(), ports: undefined });
      }
    });
  }

  /** Whether a request may be forwarded at once. */
  isReachable(route: Route, port: number): boolean {
    if (route.status !== "running") return false;
    const known = this.#runs.get(route.id);
    return known?.run === route.run && (known.ports?.has(port) ?? false);
  }

  /** Takes back that the port is reachable: a dial was refused. */
  forget(id: SandboxId, port: number): void {
    this.#runs.get(id)?.ports?.delete(port);
  }

  /**
   * Takes part in the wait for a port; `leave()` must follow in the same way. Whoever merely watches does not wake the
   * sandbox: when nobody else takes part, the wait for a sleeping one ends with `asleep`.
   */
  join(id: SandboxId, port: number, kind: RequestClass, { watching = false, credential }: JoinOptions = {}): PortWait {
    const key = `${id}:${port}`;
    const known = this.#waits.get(key);
    const wait = known ?? new PortWait(id, port, { class: kind, ...(credential && { credential }) });
    wait.enter(watching);
    if (known === undefined) {
      const forget = () => this.#waits.get(key) === wait && this.#waits.delete(key);
      this.#waits.set(key, wait);
      wait.left.addEventListener("abort", forget);
      void this.#run(wait).then((outcome) => {
        forget();
        wait.settle(outcome);
      });
    }
    return wait;
  }

  async #run(wait: PortWait): Promise<Ready> {
    const { table } = this.#options;
    let woken = false;
    while (wait.participants > 0) {
      const route = table.get(wait.id);
      if (route === undefined) return refused("not_found");
      if (route.status !== "running" && !wait.mayWake) return refused("asleep");
      const outcome = route.status === "running" ? await this.#reach(wait, route, woken) : await this.#awaken(wait);
      if (outcome !== undefined) return outcome;
      woken ||= route.status !== "running";
    }
    return refused("waking_timeout");
  }

  /** Dials until the port answers, the route changes, or it is plain that it will not. */
  async #reach(wait: PortWait, route: Route, fromStart: boolean): Promise<Ready | undefined> {
    const { table, connectTimeoutMs } = this.#options;
    const endpoint = route.endpoints.find(({ port }) => port === wait.port);
    if (endpoint === undefined)
      return route.ports.includes(wait.port) ? await this.#declaredLater(wait) : refused("not_found");
    wait.enterPhase("waiting_for_port");
    const since = this.#runs.get(wait.id)?.since ?? Date.now();
    let askedAt = 0;
    // Whoever saw it refuse connections sees when it begins to take them.
    let sawStart = fromStart;
    while (wait.participants > 0) {
      if (await dial(endpoint, Math.min(connectTimeoutMs, attemptMs))) return this.#reached(route, wait.port, sawStart);
      sawStart = true;
      if (table.get(wait.id) !== route) return undefined;
      if (Date.now() - since >= settledMs && Date.now() - askedAt >= listenersEveryMs) {
        askedAt = Date.now();
        const verdict = await this.#whyNot(wait, endpoint);
        if (verdict !== undefined) return verdict;
      }
      await pause(dialPauseMs(Date.now() - since), wait.left);
    }
    return undefined;
  }

  #reached(route: Route, port: number, sawStart: boolean): Ready {
    let known = this.#runs.get(route.id);
    if (known?.run !== route.run) {
      known = { run: route.run, since: Date.now(), ports: undefined };
      this.#runs.set(route.id, known);
    }
    if (sawStart && known.ports === undefined) this.emit("answered", route.id, { run: route.run, at: Date.now() });
    known.ports ??= new Set();
    known.ports.add(port);
    return { kind: "ready", route };
  }

  /** The engine has no place for a port that was declared while its sandbox ran. */
  async #declaredLater({ id }: PortWait): Promise<Ready> {
    const listeners = await this.#options.control.listeners(id).catch(() => undefined);
    return refused("no_listener", {
      listeningPorts: listeners?.reachable ?? [],
      detail: "The port was declared after the sandbox had started: it is there from the next start on.",
    });
  }

  async #whyNot(wait: PortWait, endpoint: Endpoint): Promise<Ready | undefined> {
    try {
      const { reachable, loopbackOnly } = await this.#options.control.listeners(wait.id);
      wait.listeningPorts = reachable;
      if (reachable.includes(endpoint.upstreamPort)) return undefined;
      if (loopbackOnly.includes(endpoint.upstreamPort)) return refused("loopback_only", { listeningPorts: reachable });
      if (reachable.length > 0) return refused("no_listener", { listeningPorts: reachable });
    } catch (error) {
      this.#options.logger.debug({ err: error, id: wait.id }, "cannot ask for listeners");
    }
    return undefined;
  }

  async #awaken(wait: PortWait): Promise<Ready | undefined> {
    const { table, logger } = this.#options;
    wait.enterPhase("starting");
    const begun = Date.now();
    while (wait.participants > 0) {
      try {
        const outcome = await this.#wake(wait);
        switch (outcome.outcome) {
          case "ready":
            table.learn(outcome.route);
            return table.get(wait.id)?.status === "running" ? undefined : void (await pause(controlRetryMs, wait.left));
          case "refused":
            return fromWakeRefusal(outcome.refusal);
          case "timed-out":
            return refused("waking_timeout", { retryAfterSeconds: 5 });
          default: {
            const never: never = outcome;
            throw new Error(`unknown outcome: ${JSON.stringify(never)}`);
          }
        }
      } catch (error) {
        if (!(error instanceof ControlUnavailableError)) throw error;
        wait.enterPhase("control_away");
        logger.warn({ err: error, id: wait.id }, "control does not answer a wake");
        if (Date.now() - begun >= controlGraceMs) return refused("control_unavailable", { retryAfterSeconds: 5 });
        await pause(controlRetryMs, wait.left);
      }
    }
    return undefined;
  }

  /** One call to control for all who wait for this sandbox, on whatever port. */
  #wake({ id, asker }: PortWait): Promise<WakeOutcome> {
    let wake = this.#wakes.get(id);
    if (wake === undefined) {
      wake = this.#options.control.wake(id, asker).finally(() => this.#wakes.delete(id));
      this.#wakes.set(id, wake);
    }
    return wake;
  }
}

/** How long to wait for the next look at the port of a run that is so old. Milliseconds. */
export function dialPauseMs(ageMs: number): number {
  return Math.min(longestDialPauseMs, Math.max(shortestDialPauseMs, ageMs * dialPauseShare));
}

function refused(code: RefusalCode, details: RefusalDetails = {}): Ready {
  return { kind: "refused", code, details };
}

function fromWakeRefusal({ code, message, ...rest }: Extract<WakeOutcome, { outcome: "refused" }>["refusal"]): Ready {
  return refused(code, { ...rest, detail: message });
}
