import cluster from "node:cluster";
import { once } from "node:events";
import { pino } from "pino";
import { EnvironmentError, formatAddress } from "#contract/environment.ts";
import { type GatewayConfig, readConfig } from "./config.ts";
import { openGateway } from "./gateway.ts";
import { announce, sharesPorts, superviseWorkers, tellAddress } from "./workers.ts";

/** Which calls of the system refuse an address: a worker binds where the one process of a single worker listens. */
const bindCalls: ReadonlySet<string> = new Set(["listen", "bind", "getaddrinfo"]);

const stop = new AbortController();
for (const name of ["SIGTERM", "SIGINT"] as const) process.on(name, () => stop.abort());
process.on("SIGHUP", () => {});

process.exitCode = await main();
// A connection that is still closing must not keep a drained process.
process.exit();

async function main(): Promise<number> {
  let config: GatewayConfig;
  try {
    config = readConfig();
  } catch (error) {
    if (!(error instanceof EnvironmentError)) throw error;
    for (const problem of error.problems) console.error(problem);
    return 2;
  }
  const logger = pino({ base: { process: "gateway", pid: process.pid }, level: config.logLevel });
  try {
    if (cluster.isPrimary && config.workers > 1) return await superviseWorkers(config, logger, stop.signal);
    const gateway = await openGateway(config, logger, { sharesPort: cluster.isWorker && sharesPorts });
    if (cluster.isPrimary) announce(logger, gateway.address);
    else tellAddress(gateway.address);
    if (!stop.signal.aborted) await once(stop.signal, "abort");
    await gateway[Symbol.asyncDispose]();
    return 0;
  } catch (error) {
    const { code, syscall = "", message } = error as NodeJS.ErrnoException;
    if (!bindCalls.has(syscall)) throw error;
    const why = code === "EADDRINUSE" ? "the port is taken" : message;
    console.error(`Cannot listen on ${formatAddress(config.bind)}: ${why}. Change GATEWAY_BIND.`);
    return 1;
  }
}
