import { type FSWatcher, mkdirSync, watch } from "node:fs";
import type { Server } from "node:http";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { App, type Ended } from "./app.ts";
import { AppLog } from "./app-log.ts";
import { BackOff } from "./back-off.ts";
import { type ListeningPort, listeningPorts } from "./listening-ports.ts";
import { type Content, servePage } from "./page-server.ts";
import { type Plan, planFor } from "./plan.ts";
import { type State, writeState } from "./state-file.ts";

export type SupervisorOptions = {
  /** The app's, and where it runs. */
  readonly directory: string;
  /** Where the log and the state are kept. */
  readonly stateDirectory: string;
  readonly port: number;
  readonly host: string;
  /** Ends all of it. */
  readonly signal: AbortSignal;
};

/** Writes that belong together are taken for one change. */
const settleMs = 200;
/** How often ports are looked at: often until there are some. */
const firstLookMs = 250;
const laterLookMs = 5_000;

/**
 * Runs what the app's directory asks for, again whenever it ends, and in its place says why there is none. Resolves once all
 * is ended.
 */
export async function supervise(options: SupervisorOptions): Promise<void> {
  mkdirSync(options.directory, { recursive: true });
  await new Supervisor(options).run();
}

class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #log: AppLog;
  readonly #backOff = new BackOff();
  #state: State = { state: "nothing", ends: 0, listening: [] };

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#log = new AppLog(join(options.stateDirectory, "app.log"));
  }

  async run(): Promise<void> {
    const { signal } = this.#options;
    const looking = this.#lookAtPorts();
    while (!signal.aborted) {
      const plan = this.#plan();
      if (plan.kind === "command") await this.#runCommand(plan);
      else await this.#standIn(plan);
    }
    await looking;
  }

  #plan(): Plan {
    return planFor(this.#options.directory, this.#options.port);
  }

  async #runCommand(plan: Plan & { kind: "command" }): Promise<void> {
    const { signal } = this.#options;
    if (plan.install !== undefined) {
      this.#say(`installing: ${plan.install}`);
      const ended = await this.#runUntil(plan.install, "installing", () => false);
      if (signal.aborted || ended.code !== 0) return this.#waitAfter(plan.install, ended);
    }
    this.#say(`starting (${plan.because}): ${plan.command}`);
    let replaced = false;
    const ended = await this.#runUntil(plan.command, "running", (now) => {
      replaced = isOther(now, plan);
      return replaced;
    });
    if (!replaced) await this.#waitAfter(plan.command, ended);
  }

  /** Runs it until it ends, or until the files ask for something that counts, or all of it ends. */
  async #runUntil(command: string, state: "installing" | "running", counts: (plan: Plan) => boolean): Promise<Ended> {
    const { directory, signal } = this.#options;
    const app = new App(command, {
      directory,
      onOutput: (text, stream) => {
        this.#log.append(text);
        process[stream].write(text);
      },
    });
    this.#tell({ state, command, pid: app.pid });
    const end = () => app.signal("SIGTERM");
    signal.addEventListener("abort", end, { once: true });
    if (signal.aborted) end();
    using changes = new Changes(directory);
    const look = () => {
      if (counts(this.#plan())) end();
    };
    changes.onChange = look;
    // What changed before it was watched.
    look();
    const ended = await app.ended;
    signal.removeEventListener("abort", end);
    const { code, signal: endedBy } = ended;
    this.#tell({ ends: this.#state.ends + 1, last_exit: { code, signal: endedBy }, pid: undefined });
    return ended;
  }

  /** A page says what happened until it is tried again: after a while, or as soon as somebody changes a file. */
  async #waitAfter(command: string, ended: Ended): Promise<void> {
    if (this.#options.signal.aborted) return;
    const waitMs = this.#backOff.after(ended.ranMs);
    const how = ended.signal === null ? `with code ${ended.code}` : `by ${ended.signal}`;
    this.#say(`ended ${how} after ${Math.round(ended.ranMs)} ms, again in ${waitMs / 1000} s or when a file changes`);
    this.#tell({ state: "failed", command });
    const text = `<code>${command.replaceAll("<", "&lt;")}</code> ended ${how}. It is started again in a moment, and when a file changes.`;
    const title = "The app has ended";
    await this.#showUntil({ kind: "notice", status: 503, title, text, log: this.#log.tail }, waitMs);
  }

  async #standIn(plan: Exclude<Plan, { kind: "command" }>): Promise<void> {
    const { directory } = this.#options;
    this.#tell({ state: plan.kind, command: undefined });
    if (plan.kind === "files") {
      this.#say("serving the files beside index.html");
      return this.#showUntil({ kind: "files", directory }, undefined, (now) => now.kind !== "files");
    }
    this.#say(plan.problem ?? "no app yet");
    const problem = plan.problem === undefined ? "" : `${plan.problem.replaceAll("<", "&lt;")}. `;
    const text = `${problem}Put an app into <code>~/workspace/app</code>: a <code>package.json</code> with a <code>dev</code> or <code>start</code> script that listens on <code>$PORT</code>, a <code>server.js</code>, or an <code>index.html</code>. It is started at once.`;
    const notice = { kind: "notice", status: 200, title: "Put your app here", text } as const;
    await this.#showUntil(notice, undefined, (now) => isOther(now, plan));
  }

  /** Stands in on the app's port until the time is over, a change is one that counts, or all of it ends. */
  async #showUntil(content: Content, waitMs?: number, counts?: (plan: Plan) => boolean): Promise<void> {
    const { port, host, directory, signal } = this.#options;
    let server: Server | undefined;
    try {
      server = await servePage(content, port, host);
    } catch (error) {
      this.#say(`cannot listen on port ${port} meanwhile: ${(error as Error).message}`);
    }
    using changes = new Changes(directory);
    const { promise: changed, resolve } = Promise.withResolvers<void>();
    const look = () => {
      if (counts?.(this.#plan()) ?? true) resolve();
    };
    changes.onChange = look;
    // What changed before it was watched.
    if (counts !== undefined) look();
    const done = new AbortController();
    const ending = AbortSignal.any([signal, done.signal]);
    const over = waitMs === undefined ? [] : [delay(waitMs, undefined, { signal: ending }).catch(() => {})];
    await Promise.race([changed, aborted(signal), ...over]);
    done.abort();
    if (server === undefined) return;
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  }

  async #lookAtPorts(): Promise<void> {
    const { signal } = this.#options;
    while (!signal.aborted) {
      const seen = listeningPorts();
      const before = this.#state.listening;
      if (JSON.stringify(seen) !== JSON.stringify(before)) {
        this.#tell({ listening: seen });
        for (const each of seen) if (!before.some(({ port }) => port === each.port)) this.#sayPort(each);
      }
      const pauseMs = seen.length === 0 ? firstLookMs : laterLookMs;
      await delay(pauseMs, undefined, { signal }).catch(() => {});
    }
  }

  #sayPort({ port, loopbackOnly }: ListeningPort): void {
    if (loopbackOnly)
      this.#say(`port ${port} is open on 127.0.0.1 alone, which nobody outside reaches: listen on $HOST`);
    else this.#say(`port ${port} is open`);
  }

  #tell(change: { readonly [Key in keyof State]?: State[Key] | undefined }): void {
    this.#state = { ...this.#state, ...change } as State;
    writeState(join(this.#options.stateDirectory, "state.json"), this.#state);
  }

  #say(text: string): void {
    const line = `[sandbox] ${text}\n`;
    this.#log.append(line);
    process.stdout.write(line);
  }
}

/** Calls once writes to a directory have settled. */
class Changes implements Disposable {
  onChange: () => void = () => {};
  readonly #watcher: FSWatcher | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(directory: string) {
    try {
      this.#watcher = watch(directory, () => {
        this.#timer ??= setTimeout(() => {
          this.#timer = undefined;
          this.onChange();
        }, settleMs);
      });
      this.#watcher.on("error", () => {});
    } catch {
      // The system gives no more watches: what is changed is seen at the next start.
    }
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#watcher?.close();
  }
}

/** An install that has become needless, or needed, is no other plan: what runs goes on. */
function isOther(now: Plan, before: Plan): boolean {
  const said = (plan: Plan) => (plan.kind === "command" ? plan.command : JSON.stringify(plan));
  return now.kind !== before.kind || said(now) !== said(before);
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
}
