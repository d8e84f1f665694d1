import type { SandboxId } from "#contract/sandbox-id.ts";
import { ApiError, notFound } from "../api-error.ts";
import { EngineError } from "../engines/sandbox-engine.ts";
import type { Collaborators } from "./collaborators.ts";
import type { DrainKind } from "./drain.ts";
import { isUp, type Sandbox } from "./sandbox.ts";

/** How a sandbox shall be put to sleep, and why, for the record. */
export type StopRequest = {
  readonly cause:
    | "operator"
    | "restart"
    | "idle"
    | "unattended"
    | "pressure"
    | "schedule"
    | "shutdown"
    | "snapshot"
    | "restore";
  /** More of the why, in words. */
  readonly detail?: string;
  readonly mode: "stop" | "pause";
  /** `force` stops it in the middle of whatever it does; new requests are held meanwhile in any case. */
  readonly drain: DrainKind | "force";
};

const graceSeconds = 10;

/**
 * Puts a sandbox to sleep: fence, wait behind it, stop. Resolves with the sandbox once it sleeps, or awake when an idle
 * stop was cancelled. Asleep already is fine. Throws ApiError `not_found` and `engine_unavailable`.
 */
export function stopSandbox(use: Collaborators, id: SandboxId, request: StopRequest): Promise<Sandbox> {
  if (request.drain === "force") use.drains.get(id)?.hurry();
  return use.lock.run(id, () => stopHoldingLock(use, id, request));
}

/** As `stopSandbox`, for whoever holds the lock already. */
export async function stopHoldingLock(use: Collaborators, id: SandboxId, request: StopRequest): Promise<Sandbox> {
  const { records, drains, metrics } = use;
  const sandbox = records.get(id);
  if (sandbox === undefined) throw notFound();
  if (sandbox.status === "paused" && request.mode === "stop") return sleep(use, sandbox, request);
  if (!isUp(sandbox.status)) return sandbox;
  const event = toEvent(request);
  const draining = records.change(id, { status: "draining" }, event) ?? sandbox;
  if (request.drain !== "force") {
    const verdict = await drains.run(id, draining.generation, request.drain);
    if (verdict === "cancelled") {
      metrics.stopCancelled();
      return records.change(id, { status: "running" }, { ...event, outcome: "cancelled" }) ?? sandbox;
    }
  }
  return sleep(use, draining, request);
}

function toEvent({ cause, detail }: StopRequest) {
  return { kind: "stop", cause, ...(detail !== undefined && { detail }) } as const;
}

async function sleep(use: Collaborators, sandbox: Sandbox, request: StopRequest): Promise<Sandbox> {
  const { engine, records, metrics, logger } = use;
  const { cause, mode, detail } = request;
  const { id } = sandbox;
  const event = toEvent(request);
  await use.execs.endAll(id);
  try {
    await engine.setDesired(id, mode === "pause" ? "paused" : "stopped", { graceSeconds });
  } catch (error) {
    logger.error({ sandbox: id, err: error }, "a sandbox could not be stopped");
    if (sandbox.status === "draining") records.change(id, { status: "running" }, { ...event, outcome: "failed" });
    if (!(error instanceof EngineError)) throw error;
    if (error.code === "unsupported") throw new ApiError("invalid_request", error.message, { cause: error });
    throw new ApiError("engine_unavailable", error.message, { cause: error, retryAfterSeconds: 5 });
  }
  metrics.stopped(cause);
  logger.info({ sandbox: id, cause, mode, detail }, "a sandbox went to sleep");
  const asleep = { reason: null, awakeSince: null, crashes: 0, retryAt: null } as const;
  if (mode === "pause") {
    void reclaim(use, id);
    return records.change(id, { ...asleep, status: "paused" }, { ...event, outcome: "paused" }) ?? sandbox;
  }
  const stopped = { ...asleep, status: "stopped", startedAt: null } as const;
  return records.change(id, stopped, { ...event, outcome: "stopped" }, []) ?? sandbox;
}

/** Nothing waits for it, and a wake meanwhile takes nothing from it. */
async function reclaim({ engine, logger }: Collaborators, id: SandboxId): Promise<void> {
  try {
    await engine.reclaim(id);
  } catch (error) {
    if (error instanceof EngineError && error.code === "unsupported") return;
    logger.warn({ sandbox: id, err: error }, "the memory of a paused sandbox could not be taken back");
  }
}
