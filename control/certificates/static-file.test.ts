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
