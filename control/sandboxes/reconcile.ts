import type { SandboxId } from "#contract/sandbox-id.ts";
import type { EngineExit, EngineState } from "../engines/sandbox-engine.ts";
import type { Collaborators } from "./collaborators.ts";
import { finishRemoval } from "./remove-sandbox.ts";
import type { Sandbox, SandboxChanges } from "./sandbox.ts";
import { openEgress } from "./sandbox-egress.ts";
import { recordCrash } from "./start-sandbox.ts";
import { runOf } from "./wake-sandbox.ts";

/** A create that is not complete after so long never will be. */
const halfMadeMs = 5 * 60_000;

/**
 * Brings the rows in line with what the engine holds: after a start of control, after a gap in the engine's events and
 * every few minutes. What the engine holds without a row is reported and left alone.
 */
export async function reconcile(use: Collaborators): Promise<void> {
  const { engine, store, lock, records, logger } = use;
  const states = new Map((await engine.list()).map((state) => [state.id, state]));
  for (const sandbox of store.removing()) {
    await lock.run(sandbox.id, () => finishRemoval(use, sandbox));
    states.delete(sandbox.id);
  }
  for (const { id } of store.all()) {
    const state = states.get(id) ?? missing(id);
    states.delete(id);
    // Whoever holds the lock knows better than a list that was made before.
    if (lock.isHeld(id)) continue;
    await lock.run(id, async () => {
      const sandbox = records.get(id);
      if (sandbox !== undefined) await reconcileOne(use, sandbox, state);
    });
  }
  for (const id of states.keys()) {
    if (store.get(id) === undefined) logger.warn({ sandbox: id }, "the engine holds a sandbox that nobody made here");
  }
}

/** Brings one row in line with the engine's word. The caller holds the lock. */
export async function reconcileOne(use: Collaborators, sandbox: Sandbox, state: EngineState): Promise<void> {
  const { records, now } = use;
  const event = { kind: "change", cause: "reconcile" } as const;
  if (state.state === "running" || state.state === "paused") {
    await openEgress(use, sandbox, state);
    const changes = adopted(sandbox, state, now());
    if (changes !== undefined) records.change(sandbox.id, changes, event, state.endpoints);
    else records.learnEndpoints(sandbox.id, state.endpoints);
    return;
  }
  switch (sandbox.status) {
    case "creating":
      if (now() - sandbox.createdAt < halfMadeMs) return;
      records.change(sandbox.id, { status: "error", reason: halfMade }, event, []);
      return;
    case "running":
    case "draining":
    case "paused":
    case "waking":
      if (state.exit !== null && !wasStopped(sandbox, state.exit)) await recordCrash(use, sandbox.id, state);
      else
        records.change(sandbox.id, { status: "stopped", reason: null, startedAt: null, awakeSince: null }, event, []);
      return;
    case "stopped":
    case "error":
      return;
    default: {
      const never: never = sandbox.status;
      throw new Error(`unknown status: ${never}`);
    }
  }
}

/** The end of a stop that an earlier control began. What is frozen does not end by itself either. */
function wasStopped({ status }: Sandbox, { outOfMemory }: EngineExit): boolean {
  return (status === "draining" || status === "paused") && !outOfMemory;
}

const halfMade = { code: "start_failed", message: "Its creation was cut off" } as const;

/** What to change about the row of a sandbox that the engine runs; undefined: nothing. */
function adopted(sandbox: Sandbox, state: EngineState, now: number): SandboxChanges | undefined {
  const status = state.state === "paused" ? "paused" : "running";
  const run = runOf(sandbox, state);
  if (sandbox.status === status && sandbox.run === run) return undefined;
  const awakeSince = status === "paused" ? null : (sandbox.awakeSince ?? now);
  return { status, run, startedAt: state.startedAt, awakeSince, reason: null };
}

function missing(id: SandboxId): EngineState {
  return { id, state: "missing", exit: null, startedAt: null, endpoints: [], addresses: [], runtime: {} };
}
