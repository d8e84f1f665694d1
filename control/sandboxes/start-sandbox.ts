import type { WakeRefusal } from "#contract/gateway-api.ts";
import type { SandboxId } from "#contract/sandbox-id.ts";
import { EngineError, type EngineState } from "../engines/sandbox-engine.ts";
import { plantWorkspace } from "../snapshots/plant-workspace.ts";
import type { Collaborators } from "./collaborators.ts";
import { afterCrash } from "./crash.ts";
import { exitReason, logTailOf, refusalOf } from "./refusal.ts";
import type { Sandbox } from "./sandbox.ts";
import { openEgress } from "./sandbox-egress.ts";
import { toSpec } from "./sandbox-spec.ts";
import { WakeTimes } from "./wake-times.ts";

export type Start =
  | { readonly started: true; readonly state: EngineState; readonly tookMs: number }
  | { readonly started: false; readonly refusal: WakeRefusal };

export type StartOptions = {
  /** Calls the start off. */
  readonly signal?: AbortSignal | undefined;
  /** Where to count what it waits for. */
  readonly times?: WakeTimes;
};

const keptStarts = 5;

/** Starts a sandbox as it is described now, when this machine has room for it. The caller holds its lock. */
export async function startAdmitted(
  use: Collaborators,
  sandbox: Sandbox,
  { signal, times = new WakeTimes() }: StartOptions = {},
): Promise<Start> {
  const { id, external } = sandbox;
  const leave = await times.time("admission", () => use.admission.enter(id, external.userId, signal));
  if (!leave.admitted) return { started: false, refusal: leave.refusal };
  try {
    return await startOnEngine(use, sandbox, { signal, times });
  } finally {
    leave.release();
  }
}

/** Has the engine start a sandbox. */
export async function startOnEngine(
  use: Collaborators,
  sandbox: Sandbox,
  { signal, times = new WakeTimes() }: StartOptions = {},
): Promise<Start> {
  const { engine, egress, settings, now, logger } = use;
  const begun = now();
  try {
    await egress.ready();
    await times.time("prepare", async () => {
      await plantWorkspace(use, sandbox);
      await engine.ensure(toSpec(sandbox, settings));
    });
    if (signal?.aborted) throw new EngineError("engine_unavailable", "The start was called off");
    const state = await times.time("start", () => engine.setDesired(sandbox.id, "running"));
    await openEgress(use, sandbox, state);
    return { started: true, state, tookMs: now() - begun };
  } catch (error) {
    if (error instanceof EngineError)
      logger.warn({ sandbox: sandbox.id, code: error.code, reason: error.message }, "a start was refused");
    else logger.error({ sandbox: sandbox.id, err: error }, "a start failed");
    return { started: false, refusal: refusalOf(error) };
  }
}

/** The changes that a start brings: a new run, and an answer to how long starts take. */
export function startedChanges(sandbox: Sandbox, { state, tookMs }: Extract<Start, { started: true }>, now: number) {
  return {
    status: "running",
    reason: null,
    run: sandbox.run + 1,
    startedAt: state.startedAt ?? now,
    awakeSince: now,
    retryAt: null,
    recentStartsMs: [...sandbox.recentStartsMs, tookMs].slice(-keptStarts),
  } as const;
}

/** Puts a sandbox to sleep whose container or process is found to have ended by itself. The caller holds its lock. */
export async function recordCrash(
  { engine, records, metrics, now, logger }: Collaborators,
  id: SandboxId,
  state: EngineState,
): Promise<Sandbox | undefined> {
  const reason = exitReason(state.exit, await logTailOf(engine, id));
  const sandbox = records.get(id);
  if (sandbox === undefined) return undefined;
  logger.warn(
    { sandbox: id, reason: reason.code, exitCode: reason.exitCode, signal: reason.signal },
    "a sandbox ended by itself",
  );
  metrics.stopped(reason.code);
  const event = { kind: "stop", cause: reason.code, outcome: "stopped", detail: reason.message } as const;
  return records.change(id, afterCrash(sandbox, reason, now()), event, []);
}
