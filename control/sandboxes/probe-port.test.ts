import { createServer } from "node:http";
import { type AddressInfo, createServer as createTcpServer, type Server } from "node:net";
import t, { type Test } from "tap";
import { fixture, running } from "../testing/fixture.ts";
import { probePort } from "./probe-port.ts";

const patient = new AbortController().signal;

async function listening(t: Test, server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.teardown(() => server.close());
  return (server.address() as AddressInfo).port;
}

async function withEndpoint(t: Test, upstreamPort: number) {
  const it = fixture(t);
  const { id } = await running(it);
  it.use.records.learnEndpoints(id, [{ port: 3000, address: "127.0.0.1", upstreamPort }]);
  return { it, id };
}

t.test("probePort() takes any answer for ready", async (t) => {
  const port = await listening(
    t,
    createServer((_, response) => response.writeHead(401).end()),
  );
  const { it, id } = await withEndpoint(t, port);
  await probePort(it.use, id, 3000, patient);
});

t.test("probePort() takes another protocol for ready", async (t) => {
  const port = await listening(
    t,
    createTcpServer((socket) => socket.end("220 mail\r\n")),
  );
  const { it, id } = await withEndpoint(t, port);
  await probePort(it.use, id, 3000, patient);
});

t.test("probePort() waits until somebody listens", async (t) => {
  const server = createServer((_, response) => response.end());
  const port = await listening(t, server);
  await new Promise((resolve) => server.close(resolve));
  const { it, id } = await withEndpoint(t, port);
  const ready = probePort(it.use, id, 3000, patient);
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  await ready;
});

t.test("probePort() says why nothing will answer", async (t) => {
  const { it, id } = await withEndpoint(t, 1);
  await t.rejects(probePort(it.use, id, 3000, AbortSignal.timeout(20)), { code: "start_failed", message: /port 3000/ });
  const reason = { code: "exited", message: "The command ended with code 1", exitCode: 1 } as const;
  it.use.records.change(id, { status: "stopped", reason }, { kind: "stop", cause: "exited" }, []);
  await t.rejects(probePort(it.use, id, 3000, patient), { code: "exited", detail: { exit_code: 1 } });
});
