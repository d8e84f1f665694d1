/** Kills control in the middle of what it does, again and again, and looks at what the next one makes of it. */
import { randomUUID } from "node:crypto";
import { existsSync, globSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { newSandboxId } from "../sandboxes/create-sandbox.ts";
import { ControlProgram } from "./control-program.ts";

export type CrashReport = {
  readonly kills: number;
  /** What was under way when control was killed, and what was complete. */
  readonly cutOff: Readonly<Record<string, number>>;
  readonly done: Readonly<Record<string, number>>;
  readonly problems: readonly string[];
};

const acts = ["create", "wake", "stop", "pause", "destroy"] as const;
type Act = (typeof acts)[number];

/** What is known of a sandbox by what control answered. `maybe`: the answer never came. */
type Known = { exists: boolean | "maybe"; complete: boolean };

const fewest = 4;
const mostActsAtOnce = 5;
const longestLifeMs = 400;
const settlePatienceMs = 5_000;

/** Says in its workspace that it was born, and answers. */
const app = `
  const fs = require("node:fs");
  if (!fs.existsSync("born")) fs.writeFileSync("born", "");
  require("node:http").createServer((request, response) => response.end("hello")).listen(process.env.PORT, process.env.HOST);
`;

/** Kills control so many times at random moments. Whatever is left running in the end is ended. */
export async function killAgainAndAgain(kills: number, note: (text: string) => void = () => {}): Promise<CrashReport> {
  const directory = await mkdtemp(join(tmpdir(), "crash-safety-"));
  const trial = new Trial(directory);
  try {
    for (let kill = 1; kill <= kills; kill++) {
      await trial.round();
      if (kill % 50 === 0) note(`${kill} kills, ${trial.problems.length} problems`);
    }
    await trial.finish();
    return { kills, cutOff: trial.cutOff, done: trial.done, problems: trial.problems };
  } finally {
    trial.killAll();
    await rm(directory, { recursive: true, force: true });
  }
}

class Trial {
  readonly problems: string[] = [];
  readonly cutOff: Record<string, number> = {};
  readonly done: Record<string, number> = {};
  readonly #directory: string;
  /** In the environment of every process of this trial. */
  readonly #mark = `CRASH_TRIAL=${randomUUID()}`;
  readonly #known = new Map<string, Known>();
  #control: ControlProgram | undefined;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Starts control, looks whether all is well, has it do a few things at once and kills it meanwhile. */
  async round(): Promise<void> {
    const control = await this.#start();
    await this.#check(control);
    const underWay = this.#choose().map(([act, id]) => this.#act(control, act, id));
    await delay(Math.random() ** 2 * longestLifeMs);
    await control.kill();
    await Promise.all(underWay);
  }

  /** Everything that is left wakes and answers, and goes away without a trace. */
  async finish(): Promise<void> {
    const control = await this.#start();
    await this.#check(control);
    for (const { id } of await control.list()) {
      await this.#expect(control, "POST", `/v1/sandboxes/${id}/wake?wait=port`, 200);
      await this.#expect(control, "DELETE", `/v1/sandboxes/${id}`, 204);
      this.#known.set(id, { exists: false, complete: true });
    }
    await this.#check(control);
    await control.end();
  }

  killAll(): void {
    this.#control?.child.kill("SIGKILL");
    for (const pids of this.#processes().values()) for (const pid of pids) process.kill(pid, "SIGKILL");
  }

  async #start(): Promise<ControlProgram> {
    this.#control = await ControlProgram.start(this.#directory);
    return this.#control;
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
    const status = await this.#call(control, act, id).catch(() => undefined);
    const count = status === undefined ? this.cutOff : this.done;
    count[act] = (count[act] ?? 0) + 1;
    if (act === "create" && status === 201) this.#known.set(id, { exists: true, complete: true });
    if (act === "destroy" && (status === 204 || status === 404)) this.#known.set(id, { exists: false, complete: true });
    if (status !== undefined && status >= 500) this.problems.push(`${act} ${id} answered ${status}`);
  }

  async #call(control: ControlProgram, act: Act, id: string): Promise<number> {
    const path = `/v1/sandboxes/${id}`;
    const [name, value] = this.#mark.split("=") as [string, string];
    const body = { id, ports: [3000], cmd: [process.execPath, "-e", app], env: { [name]: value } };
    if (act === "create") return (await control.call("POST", "/v1/sandboxes", body)).status;
    if (act === "destroy") return (await control.call("DELETE", path)).status;
    if (act === "wake") return (await control.call("POST", `${path}/wake`, {})).status;
    return (await control.call("POST", `${path}/stop`, { mode: act === "pause" ? "pause" : "stop" })).status;
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
    const processes = this.#processes();
    const problems: string[] = [];
    for (const [id, known] of this.#known) {
      const status = rows.get(id);
      if (known.exists === true && status === undefined) problems.push(`${id} is lost`);
      if (known.exists === false && status !== undefined) problems.push(`${id} is there again, ${status}`);
      const hasWorkspace = existsSync(join(this.#workspace(id), "workspace", "app", "born"));
      if (known.complete && status !== undefined && !hasWorkspace) problems.push(`${id} lost its workspace`);
      if (status === undefined && existsSync(this.#workspace(id))) problems.push(`${id} left its workspace`);
      const wanted = status === "running" || status === "paused" ? 1 : 0;
      const found = processes.get(id)?.length ?? 0;
      const isFrozen = processes.get(id)?.some((pid) => /\) T /.test(read(`/proc/${pid}/stat`))) ?? false;
      if (isFrozen !== (status === "paused")) problems.push(`${id} is ${status} and ${isFrozen ? "" : "not "}frozen`);
      if (found !== wanted) problems.push(`${id} is ${status} with ${found} processes`);
      if (status === "running" && hasWorkspace) this.#known.set(id, { exists: true, complete: true });
      if (status === undefined && known.exists === "maybe") this.#known.set(id, { exists: false, complete: true });
    }
    for (const [id, status] of rows) {
      if (status === "waking" || status === "draining") problems.push(`${id} is still ${status}`);
    }
    for (const id of processes.keys()) if (!this.#known.has(id)) problems.push(`nobody knows of ${id}`);
    return problems;
  }

  #workspace(id: string): string {
    return join(this.#directory, "workspaces", id);
  }

  /** The processes of this trial by sandbox, out of their environments. */
  #processes(): Map<string, number[]> {
    const found = new Map<string, number[]>();
    for (const path of globSync("/proc/[0-9]*/environ")) {
      const environment = read(path);
      if (!environment.includes(`\0${this.#mark}\0`) && !environment.startsWith(`${this.#mark}\0`)) continue;
      const id = /(?:^|\0)HOME=[^\0]*\/([0-9A-Z]{26})(?:\0|$)/.exec(environment)?.[1] ?? "?";
      found.set(id, [...(found.get(id) ?? []), Number(path.split("/")[2])]);
    }
    return found;
  }

  async #expect(control: ControlProgram, method: "POST" | "DELETE", path: string, expected: number): Promise<void> {
    const { status, text } = await control.call(method, path, method === "POST" ? {} : undefined);
    if (status !== expected) this.problems.push(`${method} ${path} answered ${status} ${text}`);
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}
