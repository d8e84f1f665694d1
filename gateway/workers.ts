import cluster, { type Worker } from "node:cluster";
import { once } from "node:events";
import { createServer } from "node:net";
import type { Logger } from "pino";
import { type Address, formatAddress } from "#contract/environment.ts";
import type { GatewayConfig } from "./config.ts";

/** A worker that lived for so long is replaced at once, any other one only after it. */
const replaceAfterMs = 1_000;

/**
 * Where the kernel gives every worker a listener of its own at the same port. Elsewhere the first process takes connections
 * and hands them on, and one that is on its way to a worker that is killed is neither served nor closed.
 */
export const sharesPorts = process.platform === "linux";

/**
 * Runs workers that share one port, replaces those that end, and resolves with the exit code of the whole when the signal
 * aborted and all of them have drained, or when the first one could not start. Throws EADDRINUSE.
 */
export async function superviseWorkers(
  { workers: count, bind }: GatewayConfig,
  logger: Logger,
  signal: AbortSignal,
): Promise<number> {
  if (sharesPorts) await ensureFree(bind);
  if (signal.aborted) return 0;
  const listening = new Set<Worker>();
  let bound: Address | undefined;
  let announced = false;
  let failed = false;
  const start = () => {
    // All of them share what became of port 0.
    const worker = cluster.fork(sharesPorts && bound ? { GATEWAY_BIND: formatAddress(bound) } : {});
    const startedAt = Date.now();
    worker.on("message", (address: Address) => {
      listening.add(worker);
      const isFirst = bound === undefined;
      bound = address;
      if (isFirst && !signal.aborted) for (let index = 1; index < count; index++) start();
      if (announced || listening.size < count) return;
      announced = true;
      announce(logger, address);
    });
    worker.on("exit", (code, killedBy) => {
      listening.delete(worker);
      if (signal.aborted) return;
      // What kept the first one from listening was said by itself, and would keep every other one.
      if (bound === undefined) {
        failed = true;
        return;
      }
      logger.error({ code, signal: killedBy }, "a worker ended: it is replaced");
      const pauseMs = Date.now() - startedAt < replaceAfterMs ? replaceAfterMs : 0;
      setTimeout(() => signal.aborted || start(), pauseMs);
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

/** By this a worker tells the first process that it listens. */
export function tellAddress(address: Address): void {
  process.send?.(address);
}

/** A shared port would be shared with another gateway as well. */
async function ensureFree({ host, port }: Address): Promise<void> {
  const server = createServer().listen({ host, port, exclusive: true });
  await once(server, "listening");
  server.close();
  await once(server, "close");
}

/** The line by which whoever started the gateway knows where it listens. */
export function announce(logger: Logger, address: Address): void {
  logger.info({ address: formatAddress(address), listener: "preview" }, "listening");
}
