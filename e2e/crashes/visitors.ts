import { setTimeout as delay } from "node:timers/promises";
import { Agent, request } from "undici";
import { formatPreviewHost } from "#contract/preview-host.ts";
import type { SandboxId } from "#contract/sandbox-id.ts";

/** What there is to visit, and what was killed so far. */
export type Scene = {
  /** The sandboxes that exist by all that is known. */
  readonly living: () => readonly string[];
  /** Grows with every end of control and with every start: odd while there is none. */
  readonly controlTurns: () => number;
  /** Milliseconds since a worker of the gateway was killed. */
  readonly sinceWorkerKill: () => number;
  /** What was done to a sandbox of late, in words. */
  readonly recent: (id: string) => string;
};

export type VisitorsOptions = { readonly gateway: string; readonly domain: string; readonly scene: Scene };

const visitors = 3;
const longestPauseMs = 150;
/** How the end of a worker looks from outside. */
const connectionErrors = ["UND_ERR_SOCKET", "ECONNRESET", "ECONNREFUSED", "EPIPE"];
/** How long a worker may need to take its place, on a busy machine. */
const replacementMs = 10_000;
/** Longer than any request is held. */
const patienceMs = 90_000;

/**
 * Clients that ask for sandboxes again and again, each time on a connection of its own. They wake what sleeps, and every
 * request must be answered by its app; the exceptions are those that a kill explains.
 */
export class Visitors {
  readonly answers: Record<string, number> = {};
  readonly problems: string[] = [];
  readonly #options: VisitorsOptions;
  readonly #agent = new Agent({ pipelining: 0, headersTimeout: patienceMs });
  readonly #ended = new AbortController();
  readonly #clients: Promise<void>[];

  constructor(options: VisitorsOptions) {
    this.#options = options;
    this.#clients = Array.from({ length: visitors }, () => this.#visit());
  }

  async end(): Promise<void> {
    this.#ended.abort();
    await Promise.all(this.#clients);
    await this.#agent.destroy();
  }

  async #visit(): Promise<void> {
    const { living } = this.#options.scene;
    while (!this.#ended.signal.aborted) {
      const ids = living();
      const id = ids[Math.floor(Math.random() * ids.length)];
      if (id !== undefined) await this.#ask(id);
      await delay(Math.random() * longestPauseMs, undefined, { signal: this.#ended.signal }).catch(() => {});
    }
  }

  async #ask(id: string): Promise<void> {
    const { scene } = this.#options;
    const [turns, begun] = [scene.controlTurns(), performance.now()];
    const answer = await this.#answerOf(id);
    this.answers[answer] = (this.answers[answer] ?? 0) + 1;
    if (answer === "200 hello") return;
    // A connection ends with its worker, and while none is left there is nobody to take one.
    const sinceKill = scene.sinceWorkerKill();
    if (connectionErrors.includes(answer) && sinceKill < performance.now() - begun + replacementMs) return;
    // A wake needs control: after five seconds without one it is refused. And a worker that has not heard of control since the
    // sandbox was made asks for one second.
    const needsControl = answer === "503 control_unavailable" || answer === "404 not_found";
    if (needsControl && (turns % 2 === 1 || scene.controlTurns() > turns)) return;
    // It was removed meanwhile.
    if (!scene.living().includes(id)) return;
    const took = Math.round(performance.now() - begun);
    this.problems.push(`${id} was asked for and answered ${answer} after ${took} ms: ${scene.recent(id)}`);
  }

  async #answerOf(id: string): Promise<string> {
    const { gateway, domain } = this.#options;
    const host = formatPreviewHost(id as SandboxId, 3000, domain);
    try {
      const { statusCode, headers, body } = await request(`http://${gateway}/`, {
        headers: { host },
        dispatcher: this.#agent,
      });
      const text = await body.text();
      return `${statusCode} ${headers["x-sandbox-gateway"] ?? text}`;
    } catch (error) {
      return `${(error as NodeJS.ErrnoException).code ?? error}`;
    }
  }
}
