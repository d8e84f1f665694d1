import type { Collaborators } from "./collaborators.ts";
import type { DrainKind } from "./drain.ts";
import { decideIdle, isRecent, pauseEndsAt } from "./idle.ts";
import type { Sandbox } from "./sandbox.ts";
import { stopHoldingLock } from "./stop-sandbox.ts";

/** A sandbox that nobody attends gets so long to finish what is open, as one that is stopped by hand. */
const unattendedDrainMs = 10_000;

/**
 * Puts every sandbox to sleep that nobody uses now. Resolves when all these stops have ended, each one way or the other.
 * While a gateway worker is silent nothing is decided: what it has open is unknown.
 */
export async function reapIdle(use: Collaborators): Promise<void> {
  await Promise.all([reapAwake(use), reapPaused(use)]);
}

async function reapAwake(use: Collaborators): Promise<void> {
  const { workers, store, lock } = use;
  if (workers.someSilent) return;
  const candidates = store.withStatus("running").filter((sandbox) => !lock.isHeld(sandbox.id) && isKnown(use, sandbox));
  await Promise.all(candidates.map(({ id }) => reap(use, id)));
}

/** The second tier of `auto`: what nobody came back to while it was paused gives its memory back. */
async function reapPaused(use: Collaborators): Promise<void> {
  const { store, lock, settings, now, logger } = use;
  const isOver = (sandbox: Sandbox | undefined) =>
    sandbox?.status === "paused" && now() >= (pauseEndsAt(sandbox, settings) ?? Number.POSITIVE_INFINITY);
  const stops = store.withStatus("paused").map(async (sandbox) => {
    if (!isOver(sandbox) || lock.isHeld(sandbox.id)) return;
    await lock.run(sandbox.id, async () => {
      if (!isOver(store.get(sandbox.id))) return;
      const request = { cause: "idle", mode: "stop", drain: "force", detail: "nobody came back to it" } as const;
      await stopHoldingLock(use, sandbox.id, request);
    });
  });
  for (const stop of await Promise.allSettled(stops)) {
    if (stop.status === "rejected") logger.error({ err: stop.reason }, "a paused sandbox could not be stopped");
  }
}

/** What was awake before control started may be in use at workers that have not come back yet. */
export function isKnown({ workers, now }: Collaborators, { awakeSince }: Sandbox): boolean {
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
      const mode = await sleepTier(use, sandbox);
      await stopHoldingLock(use, id, { cause: decision.kind, mode, drain: drainFor(use, sandbox, decision.kind) });
    });
  } catch (error) {
    logger.error({ sandbox: id, err: error }, "an idle sandbox could not be stopped");
  }
}

/** What can be paused goes to sleep by that first, unless it shall not. */
export async function sleepTier({ engine }: Collaborators, { sleepMode }: Sandbox): Promise<"pause" | "stop"> {
  return sleepMode !== "stop" && (await engine.capabilities()).pause ? "pause" : "stop";
}

function drainFor({ settings, now }: Collaborators, sandbox: Sandbox, kind: "idle" | "unattended"): DrainKind {
  if (kind === "unattended") return { kind: "asked", milliseconds: unattendedDrainMs };
  return { kind: "idle", isActive: (lastActiveAt) => isRecent(sandbox, lastActiveAt, settings, now()) };
}
