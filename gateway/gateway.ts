import { once } from "node:events";
import type { AddressInfo, Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import { ulid } from "ulid";
import type { Address } from "#contract/environment.ts";
import type { Route } from "#contract/gateway-api.ts";
import { Admission } from "./access/admission.ts";
import { Evictions } from "./access/evictions.ts";
import { RefusalLedger } from "./access/refusal-ledger.ts";
import { ActivityLedger } from "./activity.ts";
import { ActivityReporter } from "./activity-reporter.ts";
import type { GatewayConfig } from "./config.ts";
import { ControlClient } from "./control-client.ts";
import { edgeServer } from "./edge-server.ts";
import { chain, type Exchange, type Target } from "./exchange.ts";
import { Fences } from "./fences.ts";
import { clientReader } from "./forwarded-headers.ts";
import { watchIdle } from "./idle-watch.ts";
import { access } from "./middlewares/access.ts";
import { apiHost } from "./middlewares/api-host.ts";
import { classify } from "./middlewares/classify.ts";
import { cors } from "./middlewares/cors.ts";
import { count } from "./middlewares/count.ts";
import { edgeFiles } from "./middlewares/edge-files.ts";
import { expectContinue } from "./middlewares/expect.ts";
import { forward } from "./middlewares/forward.ts";
import { health } from "./middlewares/health.ts";
import { identify } from "./middlewares/identify.ts";
import { limit } from "./middlewares/limit.ts";
import { state } from "./middlewares/state.ts";
import { tunnel } from "./middlewares/tunnel.ts";
import { wake } from "./middlewares/wake.ts";
import { openPages } from "./pages/pages.ts";
import { Refuser } from "./refuse.ts";
import { mayWake } from "./request-class.ts";
import { watchRoutes } from "./routes-watch.ts";
import { RoutingTable } from "./routing-table.ts";
import { UpstreamPools } from "./upstream-pools.ts";
import { Wakes } from "./wakes.ts";

/** One gateway worker, listening. Disposing of it drains: nothing new is taken, what is open may finish for a while. */
export interface Gateway extends AsyncDisposable {
  readonly address: Address;
  readonly table: RoutingTable;
}

/** Starts a gateway worker, on a port that it may share with others. Throws what `listen` throws, EADDRINUSE for one. */
export async function openGateway(
  config: GatewayConfig,
  logger: Logger,
  { sharesPort = false } = {},
): Promise<Gateway> {
  const worker = ulid();
  const stop = new AbortController();
  const table = new RoutingTable();
  const control = new ControlClient(config.controlSocket);
  const pages = openPages({ themeDirectory: config.pagesDirectory });
  const refuser = new Refuser(pages);
  const pools = new UpstreamPools(config);
  const wakes = new Wakes({ table, control, connectTimeoutMs: config.connectTimeoutMs, logger });
  const ledger = new ActivityLedger(worker, config.streamIdleSeconds * 1000);
  wakes.on("answered", (id, answered) => ledger.answered(id, answered));
  const fences = new Fences({ table, ledger, control, worker, logger, signal: stop.signal });
  const admission = new Admission({ control, table, logger });
  const refusals = new RefusalLedger({ worker, control, flushMs: config.activityFlushMs, logger });
  const streams = new Set<Exchange>();
  const evictions = new Evictions({ admission, table, ledger, streams, refuser });
  const tunnels = new Set<() => void>();
  const api = apiHost({ ...config, socketPath: config.controlSocket, refuser, open: tunnels });
  let leaving = false;
  const isCurrent = ({ id, route }: Target) => presentRun(table.get(id)) === route.run;
  const isLeaving = (id: Parameters<RoutingTable["get"]>[0]) => table.get(id)?.status !== "running";

  table.on("route", (id) => {
    const route = table.get(id);
    pools.keepOnly(id, presentRun(route));
    // A frozen app ends no socket, and what a client says on it would wake nobody: it shall come back and do so.
    if (route?.status === "paused")
      for (const { activity } of ledger.openExchanges(id)) if (activity?.socket) activity.end?.();
  });

  const handler = chain(
    [
      health({ takesRequests: () => table.loaded && !leaving }),
      identify({ domain: config.domain, table, refuser, api }),
      classify(),
      edgeFiles(),
      cors(),
      access({ domain: config.domain, admission, refusals, refuser, pages }),
      limit({ ...config, ledger, refuser }),
      state({ table, wakes, control, logger, refuser, mayWake, open: streams }),
      count({ ledger, onClose: (id) => fences.acknowledge(id) }),
      wake({ ...config, table, wakes, refuser, pages, mayWake, onWithdrawn: (id) => fences.acknowledge(id) }),
    ],
    forward({
      ...config,
      pools,
      refuser,
      tunnel: tunnel({ ...config, refuser, isCurrent, isLeaving, open: tunnels }),
      expectContinue: expectContinue({ ...config, refuser, isCurrent }),
    }),
  );
  const server = edgeServer({ ...config, handler, refuser, readClient: clientReader(config.trustedProxies) });
  // The server itself loses sight of a connection once it was upgraded.
  const sockets = new Set<Socket>();
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  server.listen({ host: config.bind.host, port: config.bind.port, reusePort: sharesPort });
  try {
    await once(server, "listening");
  } catch (error) {
    await refusals.close();
    throw error;
  }
  const { address: host, port } = server.address() as AddressInfo;

  const watching = watchRoutes({ control, table, admission, worker, logger }, stop.signal);
  const idleWatch = watchIdle(ledger, config);
  const reporter = new ActivityReporter({
    ledger,
    control,
    flushMs: config.activityFlushMs,
    logger,
  });

  return {
    address: { host, port },
    table,
    async [Symbol.asyncDispose]() {
      leaving = true;
      // Whoever asks for its health learns of it while requests are still taken, and sends the next ones elsewhere.
      if (config.acceptGraceSeconds > 0) await delay(config.acceptGraceSeconds * 1000);
      server.close();
      server.closeIdleConnections();
      for (const end of tunnels) end();
      const patience = setTimeout(() => {
        // What no app has heard of may be sent again.
        for (const exchange of ledger.openExchanges()) {
          if ("response" in exchange && !exchange.activity?.forwarded)
            refuser.refuse(exchange, "busy", { retryAfterSeconds: 1 });
        }
        setImmediate(() => {
          for (const socket of sockets) socket.destroy();
        });
      }, config.drainSeconds * 1000);
      await once(server, "close");
      clearTimeout(patience);
      stop.abort();
      await watching;
      evictions.close();
      idleWatch[Symbol.dispose]();
      await reporter.close();
      await refusals.close();
      await api[Symbol.asyncDispose]();
      await pools.close();
      await control.close();
    },
  };
}

/** Which run of a sandbox has a container or a process, and so an address of its own; undefined when none has. */
function presentRun(route: Route | undefined): number | undefined {
  const isThere = route?.status === "running" || route?.status === "draining" || route?.status === "paused";
  return isThere ? route.run : undefined;
}
