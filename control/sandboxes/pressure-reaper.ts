import { unknownUsage } from "../engines/sandbox-engine.ts";
import { availablePercent, type HostMemory } from "../host-memory.ts";
import type { Collaborators } from "./collaborators.ts";
import type { DrainKind } from "./drain.ts";
import { lastUse, promises } from "./idle.ts";
import { isKnown } from "./idle-reaper.ts";
import { bandOf, choosePressureStops, type PressureStop, type Weighed } from "./pressure.ts";
import type { Sandbox } from "./sandbox.ts";
import { stopHoldingLock } from "./stop-sandbox.ts";

/** A sandbox that was used since is not worth what comes of stopping it, unless there is an emergency. */
const restMs = 30_000;
/** What is in use is given a moment even in an emergency. */
const emergencyDrainMs = 2_000;
const weighedAtOnce = 16;

/**
 * Stops sandboxes while the machine's memory is low. Resolves when these stops have ended, so that whoever waits for
 * memory can look again.
 */
export async function reapPressure(use: Collaborators): Promise<void> {
  const { memory: watch, logger } = use;
  const memory = watch.look();
  if (memory === undefined) return;
  const band = bandOf(memory, watch.rules);
  if (band === "ok") return;
  const percent = Math.floor(availablePercent(memory));
  const stops = choosePressureStops(memory, await weigh(use), watch.rules);
  logger.warn({ band, availablePercent: percent, stops: stops.length }, "memory is low");
  const detail = `${band}: ${percent} % of memory available`;
  await Promise.all(stops.map((stop) => carryOut(use, stop, memory, detail)));
}

/** Those whose lock is held are on their way already. */
async function weigh(use: Collaborators): Promise<Weighed[]> {
  const { store, lock } = use;
  const up = [...store.withStatus("running"), ...store.withStatus("paused")].filter(({ id }) => !lock.isHeld(id));
  const weighed: Weighed[] = [];
  const queue = up.values();
  const weighSome = async () => {
    for (const sandbox of queue) {
      const usage = await use.engine.usage(sandbox.id).catch(() => unknownUsage);
      const bytes = usage.memory.usedBytes;
      weighed.push({ id: sandbox.id, bytes, lastUse: lastUse(sandbox), spare: isSpare(use, sandbox) });
    }
  };
  await Promise.all(Array.from({ length: weighedAtOnce }, weighSome));
  return weighed;
}

/** What is open at a worker that fell silent is not known, so nothing that is awake is spare then. */
function isSpare(use: Collaborators, sandbox: Sandbox): boolean {
  const { ledger, workers, now } = use;
  const open = ledger.open(sandbox.id);
  if (promises(sandbox, open, now()).length > 0) return false;
  if (sandbox.status === "paused") return true;
  const isAtRest = open.requests + open.sockets === 0 && lastUse(sandbox) <= now() - restMs;
  return isAtRest && !workers.someSilent && isKnown(use, sandbox);
}

async function carryOut(
  use: Collaborators,
  { id, why }: PressureStop,
  memory: HostMemory,
  detail: string,
): Promise<void> {
  const { store, lock, logger, metrics } = use;
  try {
    await lock.run(id, async () => {
      const sandbox = store.get(id);
      if (sandbox?.status !== "running" && sandbox?.status !== "paused") return;
      // A wake or a request may have come before the lock.
      if (why === "longest_idle" && !isSpare(use, sandbox)) return;
      const drain = drainFor(sandbox, why);
      await stopHoldingLock(use, id, { cause: "pressure", mode: "stop", drain, detail: `${detail}, ${why}` });
      metrics.stoppedForMemory(bandOf(memory, use.memory.rules));
    });
  } catch (error) {
    logger.error({ sandbox: id, err: error }, "a sandbox could not be stopped to free memory");
  }
}

function drainFor(sandbox: Sandbox, why: PressureStop["why"]): DrainKind {
  if (why === "heaviest") return { kind: "asked", milliseconds: emergencyDrainMs };
  const since = lastUse(sandbox);
  return { kind: "idle", isActive: (lastActiveAt) => lastActiveAt > since };
}
