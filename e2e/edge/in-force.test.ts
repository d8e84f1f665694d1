/** What the real Traefik says is in force, on its internal entry point. */
import t from "tap";
import { ask } from "../../control/certificates/testing/client.ts";
import { missingPart } from "../parts/parts.ts";
import { startEdge } from "./edge.ts";

const skip = missingPart("traefik");

t.test(
  "Traefik shows what is in force to this machine's own name, at its internal entry point alone",
  { skip },
  async (t) => {
    const { traefik } = await startEdge(t);
    const statusOf = async (port: number, host: string) => (await ask({ port, host, path: "/api/rawdata" })).status;
    t.equal(await statusOf(traefik.internal, "localhost"), 200);
    t.equal(await statusOf(traefik.internal, "evil.example"), 404);
    t.equal(await statusOf(traefik.web, "localhost"), 404);
  },
);

t.test("Traefik took the routes, the gateway and the certificate, and no key can be read", { skip }, async (t) => {
  const { traefik, gateways } = await startEdge(t, { entryPoint: "websecure", tls: true });
  const read = async (path: string) => (await ask({ port: traefik.internal, host: "localhost", path })).body;
  const { routers, services } = JSON.parse(await read("/api/rawdata"));
  for (const name of ["previews@file", "api@file", "redirect@file"])
    t.match(routers[name], { status: "enabled" }, name);
  const url = `http://127.0.0.1:${gateways[0]!.port}`;
  t.strictSame(services["gateway@file"].loadBalancer.servers, [{ url }]);
  t.match(await read("/api/certificates"), /\*\.preview\.example\.com/);
  for (const path of ["/api/rawdata", "/api/certificates"]) t.notMatch(await read(path), /PRIVATE KEY/);
});

t.test("Traefik cuts no body short and gives what is open time to end", { skip }, async (t) => {
  const { traefik } = await startEdge(t);
  const entryPoints = JSON.parse(
    (await ask({ port: traefik.internal, host: "localhost", path: "/api/entrypoints" })).body,
  );
  for (const name of ["web", "websecure"]) {
    const { transport, http } = entryPoints.find((each: { name: string }) => each.name === name);
    const { readTimeout, writeTimeout = "0s", idleTimeout } = transport.respondingTimeouts;
    t.strictSame(
      { readTimeout, writeTimeout, idleTimeout },
      { readTimeout: "1h0m0s", writeTimeout: "0s", idleTimeout: "3m0s" },
    );
    t.strictSame(transport.lifeCycle, { requestAcceptGraceTimeout: "5s", graceTimeOut: "5m0s" });
    t.equal(http.aliasHeadersStrategy, "delete");
  }
  const { features } = JSON.parse(
    (await ask({ port: traefik.internal, host: "localhost", path: "/api/overview" })).body,
  );
  t.equal(features.accessLog, false);
});

t.test("Traefik writes no line for a request", { skip }, async (t) => {
  const { traefik, host } = await startEdge(t);
  const before = traefik.log();
  for (let count = 0; count < 5; count++) await ask({ port: traefik.web, host, path: "/some-path" });
  t.equal(traefik.log(), before);
});
