import type { SandboxId } from "#contract/sandbox-id.ts";
import { ApiError, notFound } from "../api-error.ts";
import type { Collaborators } from "../sandboxes/collaborators.ts";
import { stopHoldingLock } from "../sandboxes/stop-sandbox.ts";
import { wakeSandbox } from "../sandboxes/wake-sandbox.ts";

/** `stoodStillMs` is 0 for what was asleep. */
export type StoodStill<T> = { readonly result: T; readonly stoodStillMs: number };

const drainMs = 10_000;

/**
 * Does something while nothing in a sandbox runs. What is awake is frozen for it where the engine can: its connections
 * live, new ones are taken by the kernel, and all wait. Elsewhere it is stopped and woken again, as by hand. Throws
 * ApiError `not_found`, and `conflict` for one that is not complete.
 */
export async function standingStill<T>(
  use: Collaborators,
  id: SandboxId,
  work: () => Promise<T>,
): Promise<StoodStill<T>> {
  const { lock, records, engine } = use;
  const canPause = (await engine.capabilities()).pause;
  let wasStopped = false;
  try {
    return await lock.run(id, async () => {
      const status = records.get(id)?.status;
      if (status === undefined) throw notFound();
      if (status === "creating") throw new ApiError("conflict", "The sandbox is not complete");
      const begun = performance.now();
      if (status !== "running") return { result: await work(), stoodStillMs: 0 };
      if (canPause) return { result: await frozen(use, id, work), stoodStillMs: elapsed(begun) };
      const drain = { kind: "asked", milliseconds: drainMs } as const;
      wasStopped = true;
      await stopHoldingLock(use, id, { cause: "snapshot", mode: "stop", drain });
      return { result: await work(), stoodStillMs: elapsed(begun) };
    });
  } finally {
    if (wasStopped) await wakeSandbox(use, id, { cause: "restart", insist: true });
  }
}

/** The row goes on saying that it runs: whoever asks waits, and nobody has to be told. */
async function frozen<T>(
  { engine, records, logger }: Collaborators,
  id: SandboxId,
  work: () => Promise<T>,
): Promise<T> {
  await engine.setDesired(id, "paused");
  try {
    return await work();
  } finally {
    await engine.setDesired(id, "running").catch((error: unknown) => {
      logger.error({ sandbox: id, err: error }, "a sandbox does not go on after its snapshot");
      const event = { kind: "stop", cause: "snapshot", outcome: "paused" } as const;
      records.change(id, { status: "paused", awakeSince: null }, event);
    });
  }
}

function elapsed(begun: number): number {
  return Math.round(performance.now() - begun);
}
