import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { stringify } from "yaml";
import { renderStatic } from "../../control/certificates/static-file.ts";
import { traefikBinary } from "../../e2e/parts/parts.ts";
import { type Child, startChild, untilListening } from "../child.ts";

const template = new URL("../../traefik/traefik.yml", import.meta.url);

/** The ports of an edge: plain, TLS, and the one for its health. */
export type EdgePorts = { readonly web: number; readonly websecure: number; readonly internal: number };

/** Traefik as this project runs it, on loopback: its static file, and the directory that control writes to. */
export async function startProjectTraefik(directory: string, dynamic: string, ports: EdgePorts): Promise<Child> {
  const rendered = renderStatic(await readFile(template, "utf8"), {
    httpPort: ports.web,
    httpsPort: ports.websecure,
    internal: { host: "127.0.0.1", port: ports.internal },
    trustedProxies: [],
    proxyProtocol: false,
    http3: false,
    resolver: null,
  });
  const text = rendered.replace(/address: ":/g, 'address: "127.0.0.1:').replace("/etc/traefik/dynamic", dynamic);
  return await startTraefik(directory, text, ports.websecure);
}

export type DirectRoute = {
  /** Without its port. */
  readonly host: string;
  readonly appPort: number;
  /** Whom forwardAuth asks first. */
  readonly checkerPort?: number;
};

/** Traefik as the way in by itself: an access log, and a router from each host straight to its app. */
export async function startDirectTraefik(
  directory: string,
  port: number,
  routes: readonly DirectRoute[],
  certificate: string,
): Promise<Child> {
  const dynamic = join(directory, "dynamic");
  await mkdir(dynamic, { recursive: true });
  await writeFile(join(dynamic, "certificate.yml"), certificate);
  await writeFile(join(dynamic, "routes.yml"), stringify({ http: directRoutes(routes) }));
  const settings = {
    global: { checkNewVersion: false, sendAnonymousUsage: false },
    log: { level: "ERROR" },
    accessLog: { filePath: join(directory, "access.log"), format: "json" },
    entryPoints: { websecure: { address: `127.0.0.1:${port}` } },
    providers: { file: { directory: dynamic, watch: true } },
  };
  return await startTraefik(directory, stringify(settings), port);
}

function directRoutes(routes: readonly DirectRoute[]) {
  const routers: Record<string, object> = {};
  const services: Record<string, object> = {};
  const middlewares: Record<string, object> = {};
  for (const [index, { host, appPort, checkerPort }] of routes.entries()) {
    const name = `app-${index}`;
    const checked = checkerPort !== undefined;
    const rule = `Host(\`${host}\`)`;
    routers[name] = {
      entryPoints: ["websecure"],
      rule,
      tls: {},
      service: name,
      ...(checked && { middlewares: [name] }),
    };
    services[name] = { loadBalancer: { servers: [{ url: `http://127.0.0.1:${appPort}` }] } };
    if (checked) middlewares[name] = { forwardAuth: { address: `http://127.0.0.1:${checkerPort}/` } };
  }
  return Object.keys(middlewares).length > 0 ? { routers, services, middlewares } : { routers, services };
}

async function startTraefik(directory: string, text: string, port: number): Promise<Child> {
  await mkdir(directory, { recursive: true });
  const file = join(directory, "traefik.yml");
  await writeFile(file, text);
  const child = startChild(traefikBinary, [`--configFile=${file}`], { env: {} });
  child.process.stdout!.resume();
  try {
    await untilListening(port);
    return child;
  } catch (error) {
    await child[Symbol.asyncDispose]();
    throw error;
  }
}
