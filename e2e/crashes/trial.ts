/** Kills control and workers of the gateway in the middle of what they do, and looks at what becomes of it. */
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Variables } from "#contract/environment.ts";
import { newSandboxId } from "../../control/sandboxes/create-sandbox.ts";
import { containersOutside, type Outside, processesOutside } from "./outside.ts";
import { ControlProgram, GatewayProgram } from "./programs.ts";
import { Visitors } from "./visitors.ts";

export type CrashReport = {
  readonly engine: "process" | "docker";
  readonly kills: { readonly control: number; readonly worker: number };
  /** What was under way when control was killed, and what was complete. */
  readonly cutOff: Readonly<Record<string, number>>;
  readonly done: Readonly<Record<string, number>>;
  /** What visitors were answered. */
  readonly visits: Readonly<Record<string, number>>;
  readonly problems: readonly string[];
};

export type CrashOptions = {
  readonly kills: number;
  readonly engine: "process" | "docker";
  readonly note?: (text: string) => void;
};

const acts = ["create", "wake", "stop", "pause", "destroy"] as const;
type Act = (typeof acts)[number];

/** What is known of a sandbox by what control answered. `maybe`: the answer never came. */
type Known = { readonly exists: boolean | "maybe"; readonly complete: boolean };

const domain = "crashes.test";
const workers = 2;
const fewest = 4;
const mostActsAtOnce = 5;
/** A stop waits so long for a worker that was killed. */
const drainSeconds = 2;
/** Each engine takes longer for what is to be cut off than the one before; the rest is for busy machines. */
/** What is said of a failed visit: what was done to its sandbox, and who was killed, in the time before. */
const recentMs = 5_000;
const longestLifeMs = { process: 400, docker: 2_500 };
const settlePatienceMs = 20_000;
/** Of four kills one is a worker's. */
const workerShare = 0.25;

/** Says in its workspace that it was born, and answers. */
const app = `
  const fs = require("node:fs");
  if (!fs.existsSync("born")) fs.writeFileSync("born", "");
  require("node:http").createServer((request, response) => response.end("hello")).listen(process.env.PORT, process.env.HOST);
`;

/**
 * Kills so many times at random moments, and goes on until something was under way at one of them. Whatever is left running
 * in the end is ended.
 */
export async function killAgainAndAgain({ kills, engine, note = () => {} }: CrashOptions): Promise<CrashReport> {
  await using outside = engine === "docker" ? await containersOutside() : processesOutside();
  const directory = await mkdtemp(join(tmpdir(), "crashes-"));
  const environment = {
    PATH: process.env.PATH,
    PREVIEW_DOMAIN: domain,
    SANDBOXD_ENV_FILE: join(directory, "none"),
    SANDBOXD_DATA_DIR: directory,
    SANDBOXD_API_BIND: "127.0.0.1:0",
    GATEWAY_BIND: "127.0.0.1:0",
    GATEWAY_WORKERS: String(workers),
    // A worker that dies takes little of what it saw with it.
    SANDBOXD_ACTIVITY_FLUSH_MS: "100",
    ...outside.variables,
  };
  const gateway = await GatewayProgram.start(environment);
  const trial = new Trial({ directory, environment, gateway, outside, engine });
  try {
    for (let kill = 1; kill <= kills || !trial.hasCutOff; kill++) {
      await trial.round();
      if (kill % 50 === 0) note(`${kill} kills, ${trial.problems.length} problems`);
    }
    await trial.finish();
    return trial.report();
  } finally {
    await trial.killAll();
    await outside[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true });
  }
}

type TrialOptions = {
  readonly directory: string;
  readonly environment: Variables;
  readonly gateway: GatewayProgram;
  readonly outside: Outside;
  readonly engine: "process" | "docker";
};

class Trial {
  readonly problems: string[] = [];
  readonly #cutOff: Record<string, number> = {};
  readonly #done: Record<string, number> = {};
  readonly #kills = { control: 0, worker: 0 };
  readonly #options: TrialOptions;
  readonly #known = new Map<string, Known>();
  /** What was done of late, and to which sandbox; a kill is everyone's. */
  readonly #deeds: { readonly at: number; readonly id?: string; readonly deed: string }[] = [];
  readonly #visitors: Visitors;
  #control: ControlProgram | undefined;
  #turns = 1;
  #workerKilledAt = Number.NEGATIVE_INFINITY;

  constructor(options: TrialOptions) {
    this.#options = options;
    const living = () => [...this.#known].filter(([, { exists }]) => exists === true).map(([id]) => id);
    const scene = {
      living,
      controlTurns: () => this.#turns,
      sinceWorkerKill: () => performance.now() - this.#workerKilledAt,
      recent: (id: string) => this.#recent(id),
    };
    this.#visitors = new Visitors({ gateway: options.gateway.address, domain, scene });
  }

  get hasCutOff(): boolean {
    return Object.keys(this.#cutOff).length > 0;
  }

  report(): CrashReport {
    const problems = [...this.problems, ...this.#visitors.problems];
    const { engine } = this.#options;
    const [cutOff, done, visits] = [this.#cutOff, this.#done, this.#visitors.answers];
    return { engine, kills: this.#kills, cutOff, done, visits, problems };
  }

  /** Looks whether all is well, has control do a few things at once and kills somebody meanwhile. */
  async round(): Promise<void> {
    const control = await this.#running();
    await this.#check(control);
    const underWay = this.#choose().map(([act, id]) => this.#act(control, act, id));
    await delay(Math.random() ** 2 * longestLifeMs[this.#options.engine]);
    if (Math.random() < workerShare) this.#killWorker();
    else await this.#killControl(control);
    await Promise.all(underWay);
  }

  /** Everything that is left wakes and answers, and goes away without a trace. */
  async finish(): Promise<void> {
    const control = await this.#running();
    await this.#check(control);
    await this.#visitors.end();
    const deadline = Date.now() + settlePatienceMs;
    while (this.#options.gateway.workers.length !== workers && Date.now() < deadline) await delay(50);
    const { length } = this.#options.gateway.workers;
    if (length !== workers) this.problems.push(`the gateway has ${length} workers`);
    for (const { id } of await control.list()) {
      await this.#expect(control, "POST", `/v1/sandboxes/${id}/wake?wait=port`, 200);
      await this.#expect(control, "DELETE", `/v1/sandboxes/${id}`, 204);
      this.#known.set(id, { exists: false, complete: true });
    }
    await this.#check(control);
    await control.end();
  }

  async killAll(): Promise<void> {
    await this.#visitors.end();
    await this.#control?.kill();
    await this.#options.gateway.end();
  }

  #note(deed: string, id?: string): void {
    this.#deeds.push({ at: performance.now(), deed, ...(id !== undefined && { id }) });
    if (this.#deeds.length > 1000) this.#deeds.splice(0, 500);
  }

  #recent(visited: string): string {
    const now = performance.now();
    const deeds = this.#deeds.filter(({ at, id = visited }) => id === visited && now - at < recentMs);
    return deeds.map(({ at, deed }) => `${deed} ${Math.round(now - at)} ms ago`).join(", ");
  }

  async #running(): Promise<ControlProgram> {
    if (this.#control === undefined) {
      this.#control = await ControlProgram.start(this.#options.environment);
      this.#turns++;
      this.#note("control started");
    }
    return this.#control;
  }

  async #killControl(control: ControlProgram): Promise<void> {
    this.#turns++;
    this.#kills.control++;
    this.#note("control killed");
    this.#control = undefined;
    await control.kill();
  }

  /** The next one takes its place after a second; until then there may be none. */
  #killWorker(): void {
    const pids = this.#options.gateway.workers;
    const pid = pids[Math.floor(Math.random() * pids.length)];
    if (pid === undefined) return;
    this.#kills.worker++;
    this.#note("worker killed");
    this.#workerKilledAt = performance.now();
    process.kill(pid, "SIGKILL");
  }

  #choose(): [Act, string][] {
    const living = [...this.#known].filter(([, { exists }]) => exists !== false).map(([id]) => id);
    const chosen: [Act, string][] = [];
    for (let n = living.length; n < fewest; n++) chosen.push(["create", newSandboxId()]);
    for (const id of living.sort(() => Math.random() - 0.5)) {
      if (chosen.length >= mostActsAtOnce) break;
      chosen.push([acts[1 + Math.floor(Math.random() * (acts.length - 1))]!, id]);
    }
    return chosen;
  }

  async #act(control: ControlProgram, act: Act, id: string): Promise<void> {
    const before = this.#known.get(id);
    if (act === "create") this.#known.set(id, { exists: "maybe", complete: false });
    if (act === "destroy") this.#known.set(id, { exists: "maybe", complete: before?.complete ?? false });
    this.#note(act, id);
    const status = await this.#call(control, act, id).catch(() => undefined);
    this.#note(`${act} answered ${status}`, id);
    const count = status === undefined ? this.#cutOff : this.#done;
    count[act] = (count[act] ?? 0) + 1;
    if (act === "create" && status === 201) this.#known.set(id, { exists: true, complete: true });
    if (act === "destroy" && (status === 204 || status === 404)) this.#known.set(id, { exists: false, complete: true });
    if (status !== undefined && status >= 500) this.problems.push(`${act} ${id} answered ${status}`);
  }

  async #call(control: ControlProgram, act: Act, id: string): Promise<number> {
    const path = `/v1/sandboxes/${id}`;
    const { node, mark } = this.#options.outside;
    const body = { id, ports: [3000], cmd: [node, "-e", app], env: mark };
    if (act === "create") return (await control.call("POST", "/v1/sandboxes", body)).status;
    if (act === "destroy") return (await control.call("DELETE", path)).status;
    if (act === "wake") return (await control.call("POST", `${path}/wake`, {})).status;
    const mode = act === "pause" ? "pause" : "stop";
    return (await control.call("POST", `${path}/stop`, { mode, drain_seconds: drainSeconds })).status;
  }

  /** What an earlier control left is repaired soon after the start, not in the same moment. */
  async #check(control: ControlProgram): Promise<void> {
    const deadline = Date.now() + settlePatienceMs;
    let problems = await this.#look(control);
    while (problems.length > 0 && Date.now() < deadline) {
      await delay(50);
      problems = await this.#look(control);
    }
    this.problems.push(...problems);
  }

  async #look(control: ControlProgram): Promise<string[]> {
    const rows = new Map((await control.list()).map(({ id, status }) => [id, status]));
    const seen = await this.#options.outside.look();
    const problems: string[] = [];
    for (const [id, known] of this.#known) {
      const status = rows.get(id);
      if (known.exists === true && status === undefined) problems.push(`${id} is lost`);
      if (known.exists === false && status !== undefined) problems.push(`${id} is there again, ${status}`);
      const hasWorkspace = existsSync(join(this.#workspace(id), "workspace", "app", "born"));
      if (known.complete && status !== undefined && !hasWorkspace) problems.push(`${id} lost its workspace`);
      if (status === undefined && existsSync(this.#workspace(id))) problems.push(`${id} left its workspace`);
      if (status === undefined && seen.has(id)) problems.push(`${id} is gone and still there`);
      const wanted = status === "running" || status === "paused" ? 1 : 0;
      const { running, isFrozen } = seen.get(id) ?? { running: 0, isFrozen: false };
      if (isFrozen !== (status === "paused")) problems.push(`${id} is ${status} and ${isFrozen ? "" : "not "}frozen`);
      if (running !== wanted) problems.push(`${id} is ${status} and runs ${running} times`);
      if (status === "running" && hasWorkspace) this.#known.set(id, { exists: true, complete: true });
      if (status === undefined && known.exists === "maybe") this.#known.set(id, { exists: false, complete: true });
    }
    for (const [id, status] of rows) {
      if (status === "waking" || status === "draining") problems.push(`${id} is still ${status}`);
    }
    for (const id of seen.keys()) if (!this.#known.has(id)) problems.push(`nobody knows of ${id}`);
    return problems;
  }

  #workspace(id: string): string {
    return join(this.#options.directory, "workspaces", id);
  }

  async #expect(control: ControlProgram, method: "POST" | "DELETE", path: string, expected: number): Promise<void> {
    const { status, text } = await control.call(method, path, method === "POST" ? {} : undefined);
    if (status !== expected) this.problems.push(`${method} ${path} answered ${status} ${text}`);
  }
}
