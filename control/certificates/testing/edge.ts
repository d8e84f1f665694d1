import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Test } from "tap";
import { type Edge, type EdgeConfig, type EdgeOptions, openEdge } from "../edge.ts";
import type { StaticSettings } from "../static-file.ts";
import { ask } from "./client.ts";
import { testLog } from "./log.ts";
import { eventually, startTraefik, type Traefik, type TraefikOptions } from "./traefik.ts";
import { startUpstream } from "./upstream.ts";

export type EdgeStack = {
  readonly config: EdgeConfig;
  readonly edge: Edge;
  readonly traefik: Traefik;
  /** Our own authority; empty when there is none. */
  readonly ca: string;
};
export type EdgeStackOptions = {
  readonly edge?: Partial<EdgeOptions>;
  /** Whether the edge proves by handshakes that Traefik serves its certificate. */
  readonly proven?: boolean;
  readonly traefik?: TraefikOptions;
  readonly settings?: Partial<StaticSettings>;
  /** Called before the edge is opened. */
  readonly prepare?: (config: EdgeConfig) => Promise<void>;
};

/** Traefik before an upstream, with what openEdge writes for example.com; answers when Traefik has read it. */
export async function startEdge(
  t: Test,
  changes: Partial<EdgeConfig>,
  { edge: edgeOptions, settings, prepare = async () => {}, proven = false, traefik: options }: EdgeStackOptions = {},
): Promise<EdgeStack> {
  const root = t.testdir({ certs: {}, traefik: { dynamic: {} } });
  const dynamicDir = join(root, "traefik", "dynamic");
  const traefik = await startTraefik(t, root, dynamicDir, settings, options);
  const config: EdgeConfig = {
    dataDir: root,
    dynamicDir,
    domain: "example.com",
    entryPoint: "web",
    tls: false,
    gatewayUrls: [await startUpstream(t)],
    httpsPort: traefik.websecure,
    certSource: "self-signed",
    certDir: join(root, "certs"),
    acme: null,
    ...changes,
  };
  await prepare(config);
  const address = proven ? { traefikAddress: { host: "127.0.0.1", port: traefik.websecure } } : {};
  const edge = await openEdge(config, { logger: testLog().logger, ...address, ...edgeOptions });
  t.teardown(() => edge[Symbol.asyncDispose]());
  const ca = await readFile(join(root, "certificates", "ca.pem"), "utf8").catch(() => "");
  await eventually(() => isRouted(config, traefik));
  return { config, edge, traefik, ca };
}

/** Whether the previews' file, the one that is written after the certificate, is in force: a route or the redirect is. */
async function isRouted(config: EdgeConfig, traefik: Traefik): Promise<boolean> {
  const host = "x.preview.example.com";
  const port = config.tls && config.entryPoint === "websecure" ? traefik.web : traefik[config.entryPoint];
  return (await ask({ port, host })).status !== 404;
}
