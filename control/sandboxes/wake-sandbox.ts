import type { CredentialPlace } from "#contract/access.ts";
import type { RequestClass, WakeRefusal } from "#contract/gateway-api.ts";
import type { SandboxId } from "#contract/sandbox-id.ts";
import type { EngineState } from "../engines/sandbox-engine.ts";
import type { Collaborators } from "./collaborators.ts";
import { heldBack } from "./crash.ts";
import { refusalOf } from "./refusal.ts";
import type { Sandbox } from "./sandbox.ts";
import { recordCrash, startAdmitted, startedChanges } from "./start-sandbox.ts";
import type { WakeResult } from "./wake-flights.ts";
import { WakeTimes, wakeWaits } from "./wake-times.ts";

/** Who asks for a wake, for the record. `insist` starts even a sandbox that is held back in a crash loop. */
export type WakeRequest = {
  readonly cause: "request" | "operator" | "restart" | "schedule";
  readonly class?: RequestClass;
  readonly credential?: CredentialPlace;
  readonly insist?: boolean;
};

/**
 * Starts a sandbox that sleeps, once for all who ask meanwhile. It ends an idle stop under attempt, and waits for one that
 * was asked for before it starts the sandbox again. Leaving does not cancel it.
 */
export async function wakeSandbox(use: Collaborators, id: SandboxId, request: WakeRequest): Promise<WakeResult> {
  use.drains.get(id)?.giveWay();
  const begun = performance.now();
  return use.flights.join(id, async (signal) => {
    const times = new WakeTimes();
    const result = await use.lock.run(id, () => {
      times.add("lock", performance.now() - begun);
      return wakeAlone(use, id, request, { signal, times });
    });
    return note(use, id, request, result, { tookMs: performance.now() - begun, times });
  });
}

function note(
  use: Collaborators,
  id: SandboxId,
  request: WakeRequest,
  result: WakeResult,
  { tookMs, times }: { tookMs: number; times: WakeTimes },
): WakeResult {
  const { insist, ...asked } = request;
  const durationMs = Math.round(tookMs);
  const common = { ...asked, durationMs };
  if (result.outcome === "ready") {
    if (result.wasRunning) return result;
    use.metrics.woke("ready", tookMs, times);
    const spent = Object.fromEntries(wakeWaits.map((wait) => [`${wait}Ms`, rounded(times.spent(wait))]));
    use.logger.info({ sandbox: id, cause: asked.cause, tookMs: rounded(tookMs), ...spent }, "a sandbox woke up");
    use.records.note(id, { kind: "wake", outcome: "ready", ...common });
    return { ...result, durationMs };
  }
  const outcome = result.outcome === "refused" ? result.refusal.code : result.outcome;
  use.metrics.woke(outcome, tookMs, times);
  if (outcome !== "not_found") use.records.note(id, { kind: "refuse", outcome, ...common });
  return result;
}

function rounded(milliseconds: number): number {
  return Math.round(milliseconds * 10) / 10;
}

type Attempt = { readonly signal: AbortSignal; readonly times: WakeTimes };

async function wakeAlone(
  use: Collaborators,
  id: SandboxId,
  request: WakeRequest,
  attempt: Attempt,
): Promise<WakeResult> {
  const sandbox = use.records.get(id);
  if (sandbox === undefined || attempt.signal.aborted) return refused(gone(sandbox));
  try {
    if (sandbox.status !== "running") return await comeUp(use, sandbox, request, attempt);
    const state = await use.engine.inspect(id);
    if (state.state === "running") return { ...ready(sandbox), wasRunning: true };
    if (state.state === "paused") return await resume(use, sandbox, request, attempt);
    const ended = await recordCrash(use, id, state);
    return ended === undefined ? refused(gone(ended)) : await comeUp(use, ended, request, attempt);
  } catch (error) {
    use.logger.error({ sandbox: id, err: error }, "a wake failed");
    return refused(refusalOf(error));
  }
}

/** Brings up what is down, if its owner may have it awake beside the others. */
async function comeUp(
  use: Collaborators,
  sandbox: Sandbox,
  request: WakeRequest,
  attempt: Attempt,
): Promise<WakeResult> {
  const leave = use.limits.enter(sandbox);
  if (!leave.admitted) return refused(leave.refusal);
  try {
    const bringUp = sandbox.status === "paused" ? resume : start;
    return await bringUp(use, sandbox, request, attempt);
  } finally {
    leave.release();
  }
}

function gone(sandbox: Sandbox | undefined): WakeRefusal {
  if (sandbox === undefined) return { code: "not_found", message: "There is no such sandbox" };
  return { code: "engine_unavailable", message: "The wake was called off", retryAfterSeconds: 1 };
}

async function start(
  use: Collaborators,
  sandbox: Sandbox,
  request: WakeRequest,
  attempt: Attempt,
): Promise<WakeResult> {
  const { records, now } = use;
  const { id } = sandbox;
  const held = request.insist ? undefined : heldBack(sandbox, now());
  if (held !== undefined) return refused(held as WakeRefusal);
  const event = { kind: "change", cause: request.cause } as const;
  const waking = records.change(id, { status: "waking" }, event) ?? sandbox;
  const start = await startAdmitted(use, waking, attempt);
  const current = records.get(id);
  if (current === undefined) return refused(gone(current));
  if (!start.started) {
    const changes = { status: "stopped", reason: start.refusal, startedAt: null, awakeSince: null } as const;
    records.change(id, changes, { ...event, outcome: start.refusal.code }, []);
    return refused(start.refusal);
  }
  if (start.state.state !== "running") {
    const ended = await recordCrash(use, id, start.state);
    return refused(ended?.reason ? (ended.reason as WakeRefusal) : gone(ended));
  }
  const running = records.change(id, startedChanges(current, start, now()), event, start.state.endpoints);
  return ready(running ?? current);
}

/**
 * Lets a paused sandbox go on, without a look at it before: what happens to a paused one is told. One whose container
 * is gone nevertheless is started.
 */
async function resume(
  use: Collaborators,
  sandbox: Sandbox,
  request: WakeRequest,
  attempt: Attempt,
): Promise<WakeResult> {
  const { engine, records, now } = use;
  const { id } = sandbox;
  const state = await attempt.times.time("start", () => engine.setDesired(id, "running").catch(() => undefined));
  if (state?.state !== "running") return start(use, sandbox, request, attempt);
  const event = { kind: "change", cause: request.cause } as const;
  const changes = { status: "running", reason: null, run: runOf(sandbox, state), awakeSince: now() } as const;
  const running = records.change(id, { ...changes, startedAt: state.startedAt }, event, state.endpoints);
  return ready(running ?? sandbox);
}

/** Letting go on what was paused is no new run: its connections live. */
export function runOf(sandbox: Sandbox, state: EngineState): number {
  return state.startedAt === sandbox.startedAt ? sandbox.run : sandbox.run + 1;
}

function ready(sandbox: Sandbox) {
  return { outcome: "ready", sandbox, durationMs: 0, wasRunning: false } as const;
}

function refused(refusal: WakeRefusal): WakeResult {
  return { outcome: "refused", refusal };
}
