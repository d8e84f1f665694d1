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
  const { workers, store, lock } = use;
  if (workers.someSilent) return;
  const candidates = store.withStatus("running").filter((sandbox) => !lock.isHeld(sandbox.id) && isKnown(use, sandbox));
  await Promise.all(candidates.map(({ id }) => reap(use, id)));
}

/** What was awake before control started may be in use at workers that have not come back yet. */
function isKnown({ workers, now }: Collaborators, { awakeSince }: Sandbox): boolean {
  return now() >= workers.knownFrom || (awakeSince ?? 0) > workers.knownFrom - workers.leaseMs;
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
