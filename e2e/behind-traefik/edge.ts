import { mkdir } from "node:fs/promises";
import type { Socket } from "node:net";
import { join } from "node:path";
import { pino } from "pino";
import type { Test } from "tap";
import { formatPreviewHost } from "#contract/preview-host.ts";
import { openEdge } from "../../control/certificates/edge.ts";
import { startTraefik, type Traefik } from "../../control/certificates/testing/traefik.ts";
import type { GatewayConfig } from "../../gateway/config.ts";
import {
  addRoute,
  newId,
  RawClient,
  routeTo,
  startApp,
  startGateway,
  type TestGateway,
} from "../../gateway/hazards/test-gateway.ts";
import { eventually } from "../main-loop.ts";

export const domain = "example.com";

export type Edge = {
  readonly traefik: Traefik;
  readonly gateway: TestGateway;
  /** Gives an app a sandbox of its own; resolves with its host. */
  readonly addApp: (onConnection: (socket: Socket) => void) => Promise<string>;
};

/** Traefik as the product configures it, a gateway behind it and any number of apps; plain on `web`, or TLS on `websecure`. */
export async function startEdge(
  t: Test,
  { tls = false, config = {} }: { readonly tls?: boolean; readonly config?: Partial<GatewayConfig> } = {},
): Promise<Edge> {
  const gateway = await startGateway(t, { domain, ...config });
  const root = t.testdir({});
  const dynamicDir = join(root, "dynamic");
  await mkdir(dynamicDir);
  const traefik = await startTraefik(t, root, dynamicDir);
  const places = { dataDir: root, dynamicDir, certDir: root, gatewayUrls: [`http://127.0.0.1:${gateway.port}`] };
  const entry = { entryPoint: tls ? ("websecure" as const) : ("web" as const), tls, httpsPort: traefik.websecure };
  const edge = await openEdge(
    { ...places, ...entry, domain, certSource: "self-signed", acme: null },
    { logger: pino({ level: "silent" }) },
  );
  t.teardown(() => edge[Symbol.asyncDispose]());
  const addApp = async (onConnection: (socket: Socket) => void) => {
    const route = routeTo(newId(), await startApp(t, onConnection));
    await addRoute(gateway, route);
    return formatPreviewHost(route.id, 3000, domain);
  };
  if (!tls) await eventually(async () => (await isServed(traefik.web)) === true);
  return { traefik, gateway, addApp };
}

async function isServed(port: number): Promise<boolean> {
  const client = new RawClient(port).send(`GET / HTTP/1.1\r\nHost: x.preview.${domain}\r\nConnection: close\r\n\r\n`);
  return (await client.whole()).toLowerCase().includes("x-sandbox-gateway");
}
