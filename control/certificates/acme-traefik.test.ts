/** A CA's certificate from the order to the handshake: control's own, and Traefik's. */
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import t from "tap";
import { missingPart } from "../../e2e/parts/parts.ts";
import { type Edge, openEdge } from "./edge.ts";
import { acmeConfig } from "./testing/acme.ts";
import { startAuthorityProxy } from "./testing/authority-proxy.ts";
import { ask } from "./testing/client.ts";
import { startEdge } from "./testing/edge.ts";
import { startKnot } from "./testing/knot.ts";
import { testLog } from "./testing/log.ts";
import { rootOf, startPebble } from "./testing/pebble.ts";
import { eventually } from "./testing/traefik.ts";

const host = "s-01jb2q8z6x3v9k4m7n0p5r1s2t-3000.preview.example.com";
const tls = { entryPoint: "websecure", tls: true } as const;

function isServedFrom(source: string, edge: Edge): boolean {
  const status = edge.status();
  return status.tls && status.from === source && status.served === true;
}

t.test("with a CA", { skip: missingPart("traefik", "pebble", "knot") }, async (t) => {
  const knot = await startKnot(t);
  const pebble = await startPebble(t, { nameServer: knot.address });
  const root = await rootOf(pebble);
  const authoritative = { authoritativePort: knot.port, turnEveryMs: 50 };

  t.test("openEdge() offers previews as soon as the CA has given a certificate, and not before", async (t) => {
    const proxy = await startAuthorityProxy(t, pebble);
    proxy.refuse = () => "lost";
    const config = {
      ...{ dataDir: t.testdir({}), domain: "example.com", gatewayUrls: ["http://127.0.0.1:1"], httpsPort: 443, ...tls },
      ...({ certSource: "acme", certDir: "", acme: acmeConfig(knot, proxy.directoryUrl) } as const),
    };
    const places = { ...config, dynamicDir: join(config.dataDir, "traefik", "dynamic") };
    let offsetMs = 0;
    const now = () => new Date(Date.now() + offsetMs);
    const log = testLog();
    const failed = log.next("the CA gave no certificate");
    await using edge = await openEdge(places, { logger: log.logger, now, ...authoritative });
    await failed;
    t.match(edge.status(), {
      ...{ source: "acme", from: null, certificate: null, served: null, nextRenewalAt: Date },
      lastError: { at: Date, message: /^the CA does not answer/ },
    });
    t.strictSame(await readdir(places.dynamicDir), []);
    proxy.refuse = () => undefined;
    offsetMs = 600_000;
    await eventually(async () => existsSync(join(places.dynamicDir, "api.yml")));
    t.strictSame((await readdir(places.dynamicDir)).sort(), ["api.yml", "certificate.yml", "previews.yml"]);
    t.match(edge.status(), { from: "acme", certificate: { names: ["*.preview.example.com"] }, lastError: null });
  });

  t.test("openEdge() goes on with the local certificate until the CA has given one", async (t) => {
    const log = testLog();
    const stack = await startEdge(t, tls, { proven: true });
    await stack.edge[Symbol.asyncDispose]();
    t.equal((await ask({ port: stack.traefik.websecure, host, ca: stack.ca })).status, 200);
    const acme = acmeConfig(knot, pebble.directoryUrl);
    const traefikAddress = { host: "127.0.0.1", port: stack.traefik.websecure };
    const options = { logger: log.logger, traefikAddress, ...authoritative };
    const issued = log.next("certificate issued by the CA");
    const opening = openEdge({ ...stack.config, certSource: "acme", acme }, options);
    await using edge = await opening;
    t.match(edge.status(), { source: "acme", from: "self-signed" });
    await issued;
    await eventually(async () => isServedFrom("acme", edge));
    t.match(edge.status(), { lastError: null });
    t.equal((await ask({ port: stack.traefik.websecure, host, ca: root })).status, 200);
  });

  t.test("Traefik gets the certificate itself with the source traefik, and the edge tells of it", async (t) => {
    const [key, secret] = ["update.", knot.key.secret.toString("base64")];
    const { edge, traefik } = await startEdge(
      t,
      { ...tls, certSource: "traefik" },
      {
        proven: true,
        settings: {
          resolver: {
            ...{ directoryUrl: pebble.directoryUrl, email: "ada@example.com", externalAccount: null },
            ...{ resolvers: [knot.address], provider: "rfc2136" },
          },
        },
        traefik: {
          environment: {
            ...{ RFC2136_NAMESERVER: knot.address, RFC2136_TSIG_ALGORITHM: "hmac-sha256." },
            ...{ RFC2136_TSIG_KEY: key, RFC2136_TSIG_SECRET: secret, RFC2136_POLLING_INTERVAL: "1" },
            LEGO_CA_CERTIFICATES: pebble.caFile,
          },
          // It looks for authoritative servers at port 53.
          change: (text) =>
            text.replace(/( +)(provider: rfc2136\n)/, "$1$2$1propagation:\n$1  disableANSChecks: true\n"),
        },
      },
    );
    await eventually(async () => {
      await edge.refresh();
      return isServedFrom("traefik", edge);
    });
    t.match(edge.status(), {
      ...{ source: "traefik", from: "traefik", lastError: null, nextRenewalAt: null },
      certificate: { names: ["*.preview.example.com"], issuer: /Pebble/ },
    });
    t.equal((await ask({ port: traefik.websecure, host, ca: root })).status, 200);
  });

  t.test("the edge says that Traefik has no certificate with the source traefik", async (t) => {
    const settings = {
      resolver: {
        ...{ directoryUrl: "https://localhost:1/dir", email: null, externalAccount: null },
        ...{ resolvers: [], provider: "manual" },
      },
    };
    const { edge } = await startEdge(t, { ...tls, certSource: "traefik" }, { proven: true, settings });
    await edge.refresh();
    t.match(edge.status(), {
      ...{ certificate: null, from: null, served: false },
      lastError: { message: /^Traefik serves no good certificate: it does not cover \*\.preview\.example\.com/ },
    });
  });
});
