import { isDeepStrictEqual } from "node:util";
import { parse, stringify } from "yaml";
import { gatewayHealth } from "#contract/gateway-health.ts";
import { formatApiHost } from "#contract/preview-host.ts";
import type { CertificatePair } from "./valid-certificate.ts";

/** What the routes at the edge follow. */
export type EdgeRoutes = {
  readonly domain: string;
  readonly entryPoint: "web" | "websecure";
  readonly tls: boolean;
  /** Where Traefik reaches the gateways, such as `http://gateway:8080`; at least one. */
  readonly gatewayUrls: readonly string[];
  /** The port that browsers dial for HTTPS: where plain requests are sent. */
  readonly httpsPort: number;
};

/** The names of the files in Traefik's dynamic directory. The API's routes have one of their own: removing it takes the API off the edge. */
export const dynamicFiles = { previews: "previews.yml", api: "api.yml", certificate: "certificate.yml" } as const;

type Mapping = { readonly [key: string]: unknown };

/** Above any rule that an operator writes without a priority: the default one is the length of the rule. */
const previewPriority = 10_000;
const apiPriority = 20_000;

/** Every preview host to the gateway, and with TLS every plain request to HTTPS. */
export function previewsFile(routes: EdgeRoutes): Mapping {
  const previews = `Host(\`*.preview.${routes.domain}\`)`;
  return {
    http: {
      routers: {
        previews: {
          ...routed(routes),
          // Without the API's own file its host has no route at all, instead of this one.
          rule: `${previews} && !Host(\`${formatApiHost(routes.domain)}\`)`,
          priority: previewPriority,
          service: "gateway",
        },
        ...(routes.tls && { redirect: redirectRouter(previews) }),
        edge: edgeRouter,
      },
      ...(routes.tls && { middlewares: { "to-https": redirectToHttps(routes.httpsPort) } }),
      services: { gateway: gatewayService(routes.gatewayUrls) },
      serversTransports: {
        gateway: {
          // Unset, two connections are kept and every other request of a burst opens one.
          maxIdleConnsPerHost: 1024,
          forwardingTimeouts: { dialTimeout: "5s", responseHeaderTimeout: "0s", idleConnTimeout: "90s" },
        },
      },
    },
  };
}

/** The API host to the gateway, which passes it on to control. */
export function apiFile(routes: EdgeRoutes): Mapping {
  const router = { ...routed(routes), rule: `Host(\`${formatApiHost(routes.domain)}\`)`, priority: apiPriority };
  return { http: { routers: { api: { ...router, service: "gateway" } } } };
}

/** The wildcard certificate as the default one, so that a name no certificate covers still gets an answer to its handshake. */
export function certificateFile(pair: CertificatePair): Mapping {
  return { tls: { stores: { default: { defaultCertificate: { certFile: pair.chain, keyFile: pair.key } } } } };
}

/** The name of Traefik's own resolver in the static file. */
export const resolverName = "sandboxd";

/** The same, of Traefik's own making. */
export function generatedCertificateFile(domain: string): Mapping {
  const generated = { resolver: resolverName, domain: { main: `*.preview.${domain}` } };
  return { tls: { stores: { default: { defaultGeneratedCert: generated } } } };
}

/** A pair and the name of the source that it came from. */
export type SourcedPair = CertificatePair & { readonly source: string };

/** What a certificate's file holds, or undefined when the text is anything else. */
export function readCertificateFile(text: string): SourcedPair | undefined {
  try {
    const source = /^# Source: (\S+)$/m.exec(text)?.[1];
    const { certFile: chain, keyFile: key } = parse(text).tls.stores.default.defaultCertificate;
    return source !== undefined && typeof chain === "string" && typeof key === "string"
      ? { chain, key, source }
      : undefined;
  } catch {
    return undefined;
  }
}

const healthCheck = {
  hostname: gatewayHealth.host,
  path: gatewayHealth.path,
  interval: "500ms",
  unhealthyInterval: "500ms",
  timeout: "2s",
};

/** The text of a file; with the name of its source when it holds a certificate. */
export function toYaml(file: Mapping, source?: string): string {
  const head = "# Written by control: change the environment instead.\n";
  const body = stringify(file, { lineWidth: 0, blockQuote: "literal" });
  return source === undefined ? `${head}${body}` : `${head}# Source: ${source}\n${body}`;
}

/** Throws unless the text is what `toYaml` makes of the file: one bad file freezes all of Traefik's directory. */
export function checkYaml(file: Mapping, text: string): void {
  if (!isDeepStrictEqual(parse(text), file)) throw new Error("the file does not say what it was written to say");
}

/** The redirect leads to `websecure`, so previews are there too when TLS is asked for on `web`. */
function routed({ entryPoint, tls }: EdgeRoutes): Mapping {
  if (!tls) return { entryPoints: [entryPoint] };
  return { entryPoints: entryPoint === "websecure" ? ["websecure"] : ["web", "websecure"], tls: {} };
}

function redirectRouter(rule: string): Mapping {
  // Every router needs a service; the middleware answers before it is reached.
  return { entryPoints: ["web"], rule, priority: previewPriority, middlewares: ["to-https"], service: "gateway" };
}

/**
 * Traefik's own API, read-only, for whoever asks what is in force. The entry point is this machine's alone, and the host
 * keeps pages away that a browser here was led to by a name of somebody else's.
 */
const edgeRouter = {
  entryPoints: ["internal"],
  rule: "Host(`localhost`) && PathPrefix(`/api`)",
  priority: apiPriority,
  service: "api@internal",
};

/** Not permanent: browsers would keep it after TLS has been turned off again. */
function redirectToHttps(port: number): Mapping {
  return { redirectScheme: { scheme: "https", port: String(port), permanent: false } };
}

function gatewayService(urls: readonly string[]): Mapping {
  return {
    loadBalancer: {
      servers: urls.map((url) => ({ url })),
      // One that leaves says so for a while before it takes no more requests. With a single one there is no choice.
      ...(urls.length > 1 && { healthCheck }),
      passHostHeader: true,
      serversTransport: "gateway",
      // The default of 100 ms delays the last part of every answer that has a length.
      responseForwarding: { flushInterval: "1ms" },
    },
  };
}
