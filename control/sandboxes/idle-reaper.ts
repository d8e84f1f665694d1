import type { Collaborators } from "./collaborators.ts";
import type { DrainKind } from "./drain.ts";
import { decideIdle, isRecent } from "./idle.ts";
import type { Sandbox } from "./sandbox.ts";
import { stopHoldingLock } from "./stop-sandbox.ts";

/** A sandbox that nobody attends gets so long to finish what is open, as one that is stopped by hand. */
const unattendedDrainMs = 10_000;

/**
 * Puts every sandbox to sleep that nobody uses now. Resolves when all these stops have ended, each one way or the other.
 * While a gateway worker is silent nothing is decided: what it has open is unknown.
 */
export async function reapIdle(use: Collaborators): Promise<void> {
  if (use.workers.someSilent) return;
  const stops = use.store.withStatus("running").map(({ id }) => use.lock.isHeld(id) || reap(use, id));
  await Promise.all(stops);
}

async function reap(use: Collaborators, id: Sandbox["id"]): Promise<void> {
  const { store, ledger, settings, now, lock, logger } = use;
  try {
    await lock.run(id, async () => {
      const sandbox = store.get(id);
      if (sandbox?.status !== "running") return;
      const decision = decideIdle(sandbox, ledger.open(id), settings, now());
      if (decision.kind === "awake") return;
      const mode = sandbox.sleepMode === "pause" ? "pause" : "stop";
      await stopHoldingLock(use, id, { cause: decision.kind, mode, drain: drainFor(use, sandbox, decision.kind) });
    });
  } catch (error) {
    logger.error({ sandbox: id, err: error }, "an idle sandbox could not be stopped");
  }
}

function drainFor({ settings, now }: Collaborators, sandbox: Sandbox, kind: "idle" | "unattended"): DrainKind {
  if (kind === "unattended") return { kind: "asked", milliseconds: unattendedDrainMs };
  return { kind: "idle", isActive: (lastActiveAt) => isRecent(sandbox, lastActiveAt, settings, now()) };
}
