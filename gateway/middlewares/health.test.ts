import t from "tap";
import { gatewayHealth } from "#contract/gateway-health.ts";
import { RawClient, startGateway } from "../hazards/test-gateway.ts";

const { host, path } = gatewayHealth;
const ask = (port: number, path: string) =>
  new RawClient(port).send(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`).whole();

t.test("health() is well once the gateway knows its sandboxes", async (t) => {
  const { port } = await startGateway(t);
  t.match(await ask(port, path), /^HTTP\/1\.1 200 OK\r\n[\s\S]*X-Sandbox-Gateway: health\r\n[\s\S]*\r\n\r\nok$/);
  t.match(await ask(port, "/"), /^HTTP\/1\.1 421 /, "the host has nothing else");
});

t.test("health() asks to be left alone before control has said anything", async (t) => {
  const { port } = await startGateway(t, {}, { controlIsUp: false });
  t.match(await ask(port, path), /^HTTP\/1\.1 503 /);
});

t.test("a gateway that is disposed of says that it leaves, and takes requests until its grace is over", async (t) => {
  const { gateway, port } = await startGateway(t, { acceptGraceSeconds: 1 });
  const disposed = gateway[Symbol.asyncDispose]();
  t.match(await ask(port, path), /^HTTP\/1\.1 503 /);
  t.match(await ask(port, "/"), /^HTTP\/1\.1 421 /, "it still answers");
  await disposed;
  t.equal(await ask(port, path), "", "and then no more");
});
