import { readFile } from "node:fs/promises";
import t from "tap";
import { parse } from "yaml";
import { EnvironmentReader } from "#contract/environment.ts";
import { readStaticSettings, renderStatic } from "./static-file.ts";

const template = await readFile(new URL("../../traefik/traefik.yml", import.meta.url), "utf8");
const none = {
  httpPort: 80,
  httpsPort: 443,
  internal: { host: "127.0.0.1", port: 8082 },
  trustedProxies: [],
  proxyProtocol: false,
  http3: false,
  resolver: null,
};

t.test("renderStatic() leaves the file as it is when nothing is asked for", async (t) => {
  t.equal(renderStatic(template, none), template);
});

t.test("renderStatic() listens where it is told to", async (t) => {
  const internal = { host: "::1", port: 9000 };
  const { entryPoints } = parse(renderStatic(template, { ...none, httpPort: 8000, httpsPort: 8443, internal }));
  t.equal(entryPoints.web.address, ":8000");
  t.equal(entryPoints.websecure.address, ":8443");
  t.equal(entryPoints.internal.address, "[::1]:9000");
});

t.test("renderStatic() trusts the proxies on both public entry points", async (t) => {
  const trustedIPs = ["10.0.0.0/8", "fd00::1"];
  const { entryPoints } = parse(renderStatic(template, { ...none, trustedProxies: trustedIPs, proxyProtocol: true }));
  for (const name of ["web", "websecure"]) {
    t.strictSame(entryPoints[name].forwardedHeaders, { trustedIPs });
    t.strictSame(entryPoints[name].proxyProtocol, { trustedIPs });
  }
  t.equal(entryPoints.internal.forwardedHeaders, undefined);
});

t.test("renderStatic() speaks the PROXY protocol only when told to", async (t) => {
  const { entryPoints } = parse(renderStatic(template, { ...none, trustedProxies: ["10.0.0.1"] }));
  t.equal(entryPoints.web.proxyProtocol, undefined);
});

t.test("renderStatic() advertises HTTP/3 at the port that browsers dial", async (t) => {
  const { entryPoints } = parse(renderStatic(template, { ...none, http3: true, httpsPort: 8443 }));
  t.strictSame(entryPoints.websecure.http3, { advertisedPort: 8443 });
});

const authority = { directoryUrl: "https://ca.example/dir", email: null, externalAccount: null, resolvers: [] };

t.test("renderStatic() gives Traefik a resolver of its own for the source traefik", async (t) => {
  const plain = parse(renderStatic(template, { ...none, resolver: { ...authority, provider: "hetzner" } }));
  t.strictSame(plain.certificatesResolvers, {
    sandboxd: {
      acme: {
        ...{ caServer: "https://ca.example/dir", storage: "/etc/traefik/acme/acme.json", keyType: "EC256" },
        dnsChallenge: { provider: "hetzner" },
      },
    },
  });
  const externalAccount = { kid: "kid", hmacKey: "c2VjcmV0" };
  const bound = { ...authority, email: "ada@example.com", externalAccount, resolvers: ["192.0.2.1:53"] };
  const { acme } = parse(renderStatic(template, { ...none, resolver: { ...bound, provider: "hetzner" } }))
    .certificatesResolvers.sandboxd;
  t.match(acme, {
    email: "ada@example.com",
    eab: { kid: "kid", hmacEncoded: "c2VjcmV0" },
    dnsChallenge: { resolvers: ["192.0.2.1:53"] },
  });
});

t.test("readStaticSettings() has a resolver with the source traefik alone", async (t) => {
  const variables = { SANDBOXD_TRAEFIK_DNS_PROVIDER: "hetzner", SANDBOXD_ACME_EMAIL: "ada@example.com" };
  const resolver = (source: string) =>
    readStaticSettings(new EnvironmentReader({ ...variables, SANDBOXD_CERT_SOURCE: source })).resolver;
  t.equal(resolver("acme"), null);
  t.match(resolver("traefik"), { provider: "hetzner", email: "ada@example.com", directoryUrl: /letsencrypt/ });
});

t.test("renderStatic() keeps one address and the directory on lines of their own", async (t) => {
  const settings = { ...none, trustedProxies: ["10.0.0.1"], proxyProtocol: true, http3: true };
  const text = renderStatic(template, settings);
  t.equal(text.match(/^ +address: "[^"]*"$/gm)?.length, 3);
  t.equal(text.match(/^ +directory: \S+$/gm)?.length, 1);
});

t.test("readStaticSettings() has nothing on by default", async (t) => {
  t.strictSame(readStaticSettings(new EnvironmentReader({})), none);
});

t.test("readStaticSettings() names every bad variable", async (t) => {
  const variables = { TRUSTED_PROXIES: "all", PREVIEW_HTTP3: "on", HTTPS_PORT: "0" };
  t.throws(() => readStaticSettings(new EnvironmentReader(variables)), {
    message: /^Cannot parse HTTPS_PORT.*\nCannot parse TRUSTED_PROXIES.*\nCannot parse PREVIEW_HTTP3.*$/,
  });
});

t.test("readStaticSettings() refuses the PROXY protocol from anybody", async (t) => {
  t.throws(() => readStaticSettings(new EnvironmentReader({ PREVIEW_PROXY_PROTOCOL: "true" })), {
    message: /TRUSTED_PROXIES must name/,
  });
});
