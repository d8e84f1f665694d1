import cluster, { type Worker } from "node:cluster";
import { once } from "node:events";
import type { Logger } from "pino";
import { type Address, formatAddress } from "#contract/environment.ts";

/** A worker that ended before it listened says why by its exit code; one that ends later is replaced after so long. */
const replaceAfterMs = 1_000;

/**
 * Runs `count` workers that share one listener, replaces those that end, and resolves with the exit code of the whole
 * when the signal aborted and all of them have drained, or when one could not start.
 */
export async function superviseWorkers(count: number, logger: Logger, signal: AbortSignal): Promise<number> {
  if (signal.aborted) return 0;
  const listening = new Set<Worker>();
  let ahead = false;
  let announced = false;
  let failed = false;
  const start = () => {
    const worker = cluster.fork();
    worker.on("listening", ({ address, port }: { address: string; port: number }) => {
      listening.add(worker);
      if (!ahead && !signal.aborted) for (let index = 1; index < count; index++) start();
      ahead = true;
      if (announced || listening.size < count) return;
      announced = true;
      announce(logger, { host: address, port });
    });
    worker.on("exit", (code, killedBy) => {
      const hadListened = listening.delete(worker);
      if (signal.aborted || failed) return;
      if (!hadListened) {
        failed = true;
        for (const other of live()) other.process.kill("SIGTERM");
        return;
      }
      logger.error({ code, signal: killedBy }, "a worker ended: it is replaced");
      setTimeout(() => signal.aborted || start(), replaceAfterMs);
    });
  };
  // One goes ahead: what keeps it from listening is said once.
  start();
  const aborted = Promise.withResolvers<void>();
  signal.addEventListener("abort", () => {
    for (const worker of live()) worker.process.kill("SIGTERM");
    aborted.resolve();
  });
  // No worker may be there when the signal comes: the last one ended, and the next one is not started yet.
  while (!(signal.aborted || failed)) await Promise.race([once(cluster, "exit"), aborted.promise]);
  while (live().length > 0) await once(cluster, "exit");
  return failed ? 1 : 0;
}

function live(): Worker[] {
  return Object.values(cluster.workers ?? {}).filter((worker) => worker !== undefined);
}

/** The line by which whoever started the gateway knows where it listens. */
export function announce(logger: Logger, address: Address): void {
  logger.info({ address: formatAddress(address), listener: "preview" }, "listening");
}
