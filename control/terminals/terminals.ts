import type { SandboxId } from "#contract/sandbox-id.ts";
import { ApiError, notFound } from "../api-error.ts";
import type { TerminalSize } from "../engines/sandbox-engine.ts";
import type { Collaborators } from "../sandboxes/collaborators.ts";
import { wakeForExec } from "../sandboxes/exec-in-sandbox.ts";
import { Terminal, type TerminalBounds } from "./terminal.ts";

export const mostTerminals = 256;
export const mostOfSandbox = 8;
const minuteMs = 60_000;
export const terminalBounds: TerminalBounds = { unwatchedMs: 10 * minuteMs, untouchedMs: 60 * minuteMs };

/** The terminals that are open, by their ids. */
export class Terminals {
  readonly #use: Collaborators;
  readonly #bounds: TerminalBounds;
  readonly #open = new Map<string, Terminal>();
  #opening = 0;

  constructor(use: Collaborators, bounds: TerminalBounds) {
    this.#use = use;
    this.#bounds = bounds;
  }

  /** Opens one in a sandbox, which is woken for it and stays awake as long as it is open. Throws ApiError. */
  async open(id: SandboxId, size: TerminalSize): Promise<Terminal> {
    const { engine, records, execs } = this.#use;
    if (records.get(id) === undefined) throw notFound();
    if (!(await engine.capabilities()).terminal) {
      throw new ApiError("invalid_request", "A terminal is not possible on this engine");
    }
    const ofSandbox = this.#open.values().filter(({ sandbox }) => sandbox === id);
    if (this.#open.size + this.#opening >= mostTerminals || [...ofSandbox].length >= mostOfSandbox) {
      throw new ApiError("too_many_requests", "Too many terminals are open");
    }
    const exec = execs.begin(id);
    this.#opening++;
    try {
      await wakeForExec(this.#use, id);
      const stop = exec.started();
      const terminal = new Terminal(id, await engine.terminal(id, size), exec, stop, this.#bounds);
      this.#open.set(terminal.id, terminal);
      void terminal.over.then(() => this.#open.delete(terminal.id));
      return terminal;
    } catch (error) {
      exec.over();
      throw error;
    } finally {
      this.#opening--;
    }
  }

  /** One of a sandbox that is open already. Throws ApiError `not_found`. */
  find(id: SandboxId, terminal: string): Terminal {
    const found = this.#open.get(terminal);
    if (found?.sandbox !== id) throw notFound("There is no such terminal any more");
    return found;
  }

  /** Ends all of them, because control stops. */
  async close(): Promise<void> {
    const all = [...this.#open.values()];
    for (const terminal of all) terminal.end("stop");
    await Promise.all(all.map(({ over }) => over));
  }
}
