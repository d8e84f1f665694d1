import { setTimeout as delay } from "node:timers/promises";
import { ulid } from "ulid";
import type { WakeRefusal } from "#contract/gateway-api.ts";
import { parseSandboxId, type SandboxId } from "#contract/sandbox-id.ts";
import { ApiError, refusalError } from "../api-error.ts";
import type { EngineState } from "../engines/sandbox-engine.ts";
import type { Collaborators } from "./collaborators.ts";
import { exitReason, logTailOf } from "./refusal.ts";
import { finishRemoval } from "./remove-sandbox.ts";
import { newSandbox, type Sandbox, type SandboxPolicy } from "./sandbox.ts";
import { startAdmitted, startedChanges } from "./start-sandbox.ts";

/** What `create` hands out: the sandbox as it was noted, and what becomes of it. */
export type Creation = {
  readonly sandbox: Sandbox;
  /** Rejects with ApiError when it could not be started. */
  readonly running: Promise<Sandbox>;
};

/** A new id, in the order of creation. */
export function newSandboxId(): SandboxId {
  return parseSandboxId(ulid())!;
}

/**
 * Makes a sandbox and starts it. With `keepFailed` one that does not start stays, in the status `error` with its reason;
 * otherwise nothing of it is left behind. Throws ApiError `already_exists`, `workspace_owner_mismatch`, and past its
 * owner's limits `forbidden` and `too_many_requests`.
 */
export function createSandbox(
  use: Collaborators,
  id: SandboxId,
  policy: SandboxPolicy,
  { keepFailed }: { keepFailed: boolean },
): Promise<Creation> {
  const created = Promise.withResolvers<Creation>();
  const running = Promise.withResolvers<Sandbox>();
  // Whoever does not wait for the start finds its end in the status.
  running.promise.catch(() => {});
  const work = use.lock.run(id, async () => {
    const reattached = await claimId(use, id, policy);
    if (reattached && policy.fromSnapshot !== null)
      throw new ApiError("conflict", "A workspace was kept under this id; restore the snapshot into it");
    const sandbox = newSandbox(id, policy, use.now());
    // From here to the row nobody else has a turn.
    use.limits.checkCount(policy.external.userId, id);
    const leave = use.limits.enter(sandbox);
    if (!leave.admitted) throw refusalError(leave.refusal);
    use.records.insert(sandbox, { kind: "create", cause: "operator" });
    // Its row says by its status that it counts.
    leave.release();
    created.resolve({ sandbox, running: running.promise });
    running.resolve(await startFirst(use, sandbox, { keepFailed, keepWorkspace: reattached }));
  });
  work.catch((error: unknown) => {
    created.reject(error);
    running.reject(error);
  });
  return created.promise;
}

/** Makes sure that the id is free. Returns whether a kept workspace comes with it. */
async function claimId(use: Collaborators, id: SandboxId, { external }: SandboxPolicy): Promise<boolean> {
  if (use.flights.closed) throw new ApiError("engine_unavailable", "Control is stopping", { retryAfterSeconds: 5 });
  if (use.records.get(id) !== undefined) throw new ApiError("already_exists", `There is a sandbox ${id} already`);
  const halfRemoved = use.store.removing().find((sandbox) => sandbox.id === id);
  if (halfRemoved !== undefined) await finishRemoval(use, halfRemoved);
  const owner = use.workspaces.owner(id);
  if (owner !== undefined && owner.userId !== external.userId) {
    throw new ApiError("workspace_owner_mismatch", "The workspace of this id belongs to another external user");
  }
  return owner !== undefined;
}

async function startFirst(
  use: Collaborators,
  sandbox: Sandbox,
  keep: { keepFailed: boolean; keepWorkspace: boolean },
): Promise<Sandbox> {
  const { records, settings, now, workspaces, logger } = use;
  const { id } = sandbox;
  const early = watchEnd(use, id);
  try {
    const start = await startAdmitted(use, sandbox);
    if (!start.started) return await fail(use, sandbox, start.refusal, keep);
    const exited = await early.within(settings.earlyExitMs);
    if (exited !== undefined) {
      return await fail(use, sandbox, exitReason(exited.exit, await logTailOf(use.engine, id)), keep);
    }
    workspaces.forget(id);
    logger.info({ sandbox: id, tookMs: start.tookMs }, "a sandbox was created");
    const event = { kind: "change", cause: "operator", durationMs: start.tookMs } as const;
    return records.change(id, startedChanges(sandbox, start, now()), event, start.state.endpoints) ?? sandbox;
  } finally {
    early.stop();
  }
}

/** Waits for the end of a sandbox that was just started: the engine's word for it, or undefined when it stays up. */
function watchEnd({ engine }: Collaborators, id: SandboxId) {
  const ended = Promise.withResolvers<void>();
  const stop = engine.watch((event) => {
    if (event.type === "ended" && event.id === id) ended.resolve();
  });
  const within = async (milliseconds: number): Promise<EngineState | undefined> => {
    const timer = new AbortController();
    await Promise.race([ended.promise, delay(milliseconds, undefined, { signal: timer.signal })]);
    timer.abort();
    const state = await engine.inspect(id);
    return state.state === "running" ? undefined : state;
  };
  return { stop, within };
}

async function fail(
  use: Collaborators,
  sandbox: Sandbox,
  refusal: WakeRefusal,
  { keepFailed, keepWorkspace }: { keepFailed: boolean; keepWorkspace: boolean },
): Promise<Sandbox> {
  const { records, logger } = use;
  logger.warn({ sandbox: sandbox.id, code: refusal.code }, "a sandbox could not be created");
  const event = { kind: "refuse", cause: "operator", outcome: refusal.code, detail: refusal.message } as const;
  if (keepFailed) {
    records.change(sandbox.id, { status: "error", reason: refusal, startedAt: null }, event, []);
  } else {
    const removing = keepWorkspace ? "keep" : "workspace";
    records.beginRemoval(sandbox.id, removing, { ...event, kind: "remove" });
    await finishRemoval(use, { ...sandbox, removing }).catch((error: unknown) => {
      logger.error({ sandbox: sandbox.id, err: error }, "a failed sandbox is left to the next reconcile");
    });
  }
  throw refusalError(refusal);
}
