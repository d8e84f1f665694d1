import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { pino } from "pino";
import type { Test } from "tap";
import { formatPreviewHost } from "#contract/preview-host.ts";
import { openEdge } from "../../control/certificates/edge.ts";
import type { StaticSettings } from "../../control/certificates/static-file.ts";
import { eventually, startTraefik, type Traefik } from "../../control/certificates/testing/traefik.ts";
import type { GatewayConfig } from "../../gateway/config.ts";
import { addRoute, newId, routeTo, startGateway, type TestGateway } from "../../gateway/hazards/test-gateway.ts";
import { type App, startApp } from "./app.ts";
import { askText, type Way } from "./client.ts";

export const domain = "example.com";

export type Combination = { readonly entryPoint: "web" | "websecure"; readonly tls: boolean };

/** Every combination of entry point and TLS. */
export const combinations: readonly Combination[] = (["web", "websecure"] as const).flatMap((entryPoint) =>
  [false, true].map((tls) => ({ entryPoint, tls })),
);

export type TestEdge = {
  readonly traefik: Traefik;
  readonly gateways: readonly TestGateway[];
  readonly app: App;
  /** The preview's host, without a port. */
  readonly host: string;
  /** The authority to trust, with TLS. */
  readonly caFile: string;
  /** One for each entry point that previews are on. */
  readonly ways: readonly Omit<Way, "protocol">[];
};

export type TestEdgeOptions = Partial<Combination> & {
  readonly settings?: Partial<StaticSettings>;
  readonly gateway?: Partial<GatewayConfig>;
  readonly gateways?: number;
};

/** Traefik with what control writes for it, gateways and an app behind them. Answers when the preview is served. */
export async function startEdge(t: Test, options: TestEdgeOptions = {}): Promise<TestEdge> {
  const { entryPoint = "web", tls = false, settings, gateway, gateways: count = 1 } = options;
  const app = await startApp(t);
  const route = routeTo(newId(), app.port);
  const gateways: TestGateway[] = [];
  while (gateways.length < count) gateways.push(await startGateway(t, { domain, ...gateway }));
  for (const each of gateways) await addRoute(each, route);
  const root = t.testdir({});
  const dynamicDir = join(root, "dynamic");
  await mkdir(dynamicDir);
  const traefik = await startTraefik(t, root, dynamicDir, settings);
  const edge = await openEdge(
    {
      ...{ dataDir: root, dynamicDir, certDir: root, certSource: "self-signed", acme: null },
      ...{ domain, entryPoint, tls, httpsPort: traefik.websecure },
      gatewayUrls: gateways.map(({ port }) => `http://127.0.0.1:${port}`),
    },
    { logger: pino({ level: "silent" }) },
  );
  t.teardown(() => edge[Symbol.asyncDispose]());
  const caFile = join(root, "certificates", "ca.pem");
  const ca = tls ? await readFile(caFile, "utf8") : undefined;
  const host = formatPreviewHost(route.id, 3000, domain);
  const ports = tls ? new Set([traefik[entryPoint], traefik.websecure]) : [traefik[entryPoint]];
  const ways = Array.from(ports, (port) => ({ port, host, ca }));
  for (const way of ways) await eventually(() => isServed({ ...way, protocol: "HTTP/1.1" }));
  return { traefik, gateways, app, host, caFile, ways };
}

async function isServed(way: Way): Promise<boolean> {
  return askText(way, { path: "/" }).then(
    ({ status }) => status === 200,
    () => false,
  );
}
