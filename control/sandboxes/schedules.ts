import type { SandboxId } from "#contract/sandbox-id.ts";
import type { Collaborators } from "./collaborators.ts";
import { promises } from "./idle.ts";
import { sleepTier } from "./idle-reaper.ts";
import type { Sandbox } from "./sandbox.ts";
import { lastDue, nextAct, nextTime, type Schedule, type ScheduledAct } from "./schedule.ts";
import { stopSandbox } from "./stop-sandbox.ts";
import { wakeSandbox } from "./wake-sandbox.ts";

/** What was due while control was away is made up for when it is no longer ago than this. */
const makeUpMs = 60 * 60_000;
/** A schedule's next time takes milliseconds to find, so after a start they are found a few at a time. */
const foundPerTurn = 50;
const drainMs = 10_000;

type Entry = { readonly schedule: Schedule; readonly since: number; next: ScheduledAct | "none" | "unknown" };

/** Wakes sandboxes and puts them to sleep when their schedules say so. */
export class Schedules {
  readonly #use: Collaborators;
  readonly #entries = new Map<SandboxId, Entry>();
  readonly #onChange = (id: SandboxId, sandbox: Sandbox | undefined) => this.#learn(id, sandbox);

  constructor(use: Collaborators) {
    this.#use = use;
    const madeUpFrom = use.now() - makeUpMs;
    // What happened to a sandbox after a time of its schedule is newer than that.
    for (const sandbox of use.store.all()) this.#learn(sandbox.id, sandbox, Math.max(sandbox.updatedAt, madeUpFrom));
    use.records.on("change", this.#onChange);
  }

  /** Does what is due now. Resolves when it is begun: a wake takes as long as it takes. */
  async turn(): Promise<void> {
    const now = this.#use.now();
    let found = 0;
    for (const [id, entry] of this.#entries) {
      if (entry.next === "unknown" && found++ < foundPerTurn)
        entry.next = nextAct(entry.schedule, entry.since) ?? "none";
      if (typeof entry.next === "string" || entry.next.at > now) continue;
      const due = lastDue(entry.schedule, entry.next.at - 1, now) ?? entry.next;
      entry.next = nextAct(entry.schedule, now) ?? "none";
      void this.#carryOut(id, entry.schedule, due.act);
    }
  }

  close(): void {
    this.#use.records.off("change", this.#onChange);
  }

  #learn(id: SandboxId, sandbox: Sandbox | undefined, since = this.#use.now()): void {
    const schedule = sandbox?.schedule;
    if (!schedule) this.#entries.delete(id);
    else if (JSON.stringify(this.#entries.get(id)?.schedule) !== JSON.stringify(schedule))
      this.#entries.set(id, { schedule, since, next: "unknown" });
  }

  async #carryOut(id: SandboxId, schedule: Schedule, act: ScheduledAct["act"]): Promise<void> {
    try {
      if (act === "wake") await wakeForWindow(this.#use, id, schedule);
      else await sleepNow(this.#use, id);
    } catch (error) {
      this.#use.logger.error({ sandbox: id, act, err: error }, "a schedule could not be followed");
    }
  }
}

/** Where the schedule has a time to sleep, the sandbox is kept awake until then. */
async function wakeForWindow(use: Collaborators, id: SandboxId, { sleep, timezone }: Schedule): Promise<void> {
  const end = nextTime(sleep, timezone, use.now());
  const before = use.records.get(id)?.leaseUntil ?? 0;
  if (end !== undefined) use.records.extend(id, { leaseUntil: Math.max(before, end) }, "schedule");
  await wakeSandbox(use, id, { cause: "schedule" });
}

/** A promise to keep it awake is kept; its idle policy alone is none, nor is a command that runs in it. */
async function sleepNow(use: Collaborators, id: SandboxId): Promise<void> {
  const sandbox = use.records.get(id);
  if (sandbox?.status !== "running") return;
  if (promises(sandbox, { execs: 0 }, use.now()).some(({ cause }) => cause !== "always_on")) return;
  const drain = { kind: "asked", milliseconds: drainMs } as const;
  await stopSandbox(use, id, { cause: "schedule", mode: await sleepTier(use, sandbox), drain });
}
