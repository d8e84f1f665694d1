import t from "tap";
import { parse } from "yaml";
import {
  apiFile,
  certificateFile,
  checkYaml,
  type EdgeRoutes,
  previewsFile,
  readCertificateFile,
  toYaml,
} from "./dynamic-files.ts";

const routes: EdgeRoutes = {
  domain: "example.com",
  entryPoint: "websecure",
  tls: true,
  gatewayUrls: ["http://gateway:8080"],
  httpsPort: 8443,
};
const read = (file: object) => parse(toYaml(file as Record<string, unknown>));

t.test("previewsFile() sends every preview host but the API's to the gateway", async (t) => {
  const { http } = read(previewsFile(routes));
  t.match(http.routers.previews, {
    rule: "Host(`*.preview.example.com`) && !Host(`api.preview.example.com`)",
    priority: Number,
    entryPoints: ["websecure"],
    tls: {},
    service: "gateway",
  });
  t.match(http.services.gateway.loadBalancer, {
    servers: [{ url: "http://gateway:8080" }],
    serversTransport: "gateway",
    responseForwarding: { flushInterval: "1ms" },
  });
  t.ok(http.serversTransports.gateway.maxIdleConnsPerHost > 64);
});

t.test("previewsFile() redirects plain requests to the public port when TLS is on, and only then", async (t) => {
  const { http } = read(previewsFile(routes));
  t.strictSame(http.routers.redirect.entryPoints, ["web"]);
  t.equal(http.middlewares["to-https"].redirectScheme.port, "8443");
  const plain = read(previewsFile({ ...routes, tls: false })).http;
  t.equal(plain.routers.redirect, undefined);
  t.equal(plain.middlewares, undefined);
  t.equal(plain.routers.previews.tls, undefined);
});

t.test("previewsFile() offers TLS on web where the redirect leads as well", async (t) => {
  const { http } = read(previewsFile({ ...routes, entryPoint: "web" }));
  t.strictSame(http.routers.previews.entryPoints, ["web", "websecure"]);
});

t.test("previewsFile() has Traefik look after several gateways, and not after the only one", async (t) => {
  const { loadBalancer } = read(previewsFile(routes)).http.services.gateway;
  t.equal(loadBalancer.healthCheck, undefined);
  const gatewayUrls = ["http://127.0.0.1:8080", "http://127.0.0.1:8081"];
  const several = read(previewsFile({ ...routes, gatewayUrls })).http.services.gateway.loadBalancer;
  t.strictSame(several.servers, [{ url: gatewayUrls[0] }, { url: gatewayUrls[1] }]);
  t.match(several.healthCheck, { hostname: "gateway.internal", path: "/healthz", interval: "500ms" });
});

t.test("previewsFile() shows what is in force to this machine alone", async (t) => {
  t.match(read(previewsFile(routes)).http.routers.edge, {
    entryPoints: ["internal"],
    rule: "Host(`localhost`) && PathPrefix(`/api`)",
    service: "api@internal",
  });
});

t.test("apiFile() ranks the API's host above the previews", async (t) => {
  const api = read(apiFile(routes)).http.routers.api;
  t.equal(api.rule, "Host(`api.preview.example.com`)");
  t.ok(api.priority > read(previewsFile(routes)).http.routers.previews.priority);
});

t.test("certificateFile() holds both PEMs, which readCertificateFile() gives back", async (t) => {
  const pair = { chain: "-----BEGIN\na\n-----END\n", key: "-----BEGIN\nb\n-----END\n" };
  t.strictSame(readCertificateFile(toYaml(certificateFile(pair), "file")), { ...pair, source: "file" });
});

t.test("readCertificateFile() has nothing to say about other texts", async (t) => {
  for (const text of ["", "a: [", "# Source: file\n", toYaml(certificateFile({ chain: "a", key: "b" }))]) {
    t.equal(readCertificateFile(text), undefined);
  }
});

t.test("checkYaml() refuses a text that says anything else", async (t) => {
  const file = apiFile(routes);
  t.doesNotThrow(() => checkYaml(file, toYaml(file)));
  t.throws(() => checkYaml(file, toYaml(file).replace("20000", "2")));
  t.throws(() => checkYaml(file, toYaml(file).slice(0, -10)));
  t.throws(() => checkYaml(file, ""));
});
