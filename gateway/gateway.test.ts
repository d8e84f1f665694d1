import { once } from "node:events";
import { connect } from "node:net";
import t from "tap";
import {
  addRoute,
  answering,
  eventually,
  freePort,
  newId,
  RawClient,
  routeTo,
  startApp,
  startGateway,
} from "./hazards/test-gateway.ts";

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const switched = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
const get = (path: string, host: string) => `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
const upgrade = (host: string) =>
  `GET /socket HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n`;

t.test("openGateway() throws what a port that is taken gives", async (t) => {
  const { port } = await startGateway(t);
  await t.rejects(startGateway(t, { bind: { host: "127.0.0.1", port } }), { code: "EADDRINUSE" });
});

t.test("openGateway() says where it listens, and takes nothing new once it is disposed of", async (t) => {
  const { gateway, port } = await startGateway(t);
  t.strictSame(gateway.address, { host: "127.0.0.1", port });
  await gateway[Symbol.asyncDispose]();
  const [error] = await once(connect(port, "127.0.0.1"), "error");
  t.match(error, { code: "ECONNREFUSED" });
});

t.test("a gateway that is disposed of lets what is under way end", async (t) => {
  const test = await startGateway(t, { drainSeconds: 20 });
  const reached = Promise.withResolvers<() => void>();
  const app = await startApp(
    t,
    answering((_, socket) => void reached.resolve(() => socket.write(ok))),
  );
  const client = new RawClient(test.port).send(get("/", await addRoute(test, routeTo(newId(), app))));
  const finish = await reached.promise;
  const disposed = test.gateway[Symbol.asyncDispose]();
  finish();
  await client.until(({ text }) => text.endsWith("ok"));
  t.match(client.text, /^HTTP\/1\.1 200 OK\r\n/);
  client.socket.destroy();
  await disposed;
});

t.test("a gateway that is disposed of says 1001 to its sockets", async (t) => {
  const test = await startGateway(t, { drainSeconds: 20 });
  const app = await startApp(
    t,
    answering(() => switched),
  );
  const client = new RawClient(test.port).send(upgrade(await addRoute(test, routeTo(newId(), app))));
  await client.until(({ text }) => text.endsWith("\r\n\r\n"));
  const disposed = test.gateway[Symbol.asyncDispose]();
  await client.until(({ ended }) => ended);
  t.strictSame([...client.received.subarray(-4)], [0x88, 0x02, 0x03, 0xe9]);
  client.socket.destroy();
  await disposed;
});

t.test("a gateway that is disposed of outlives its patience with nobody", async (t) => {
  const test = await startGateway(t, { drainSeconds: 0 });
  test.control.wake = () => new Promise(() => {});
  const silent = await startApp(
    t,
    answering((_, socket) => void socket.once("end", () => socket.end())),
  );
  const running = await addRoute(test, routeTo(newId(), silent));
  const asleep = await addRoute(test, routeTo(newId(), 1, { status: "stopped", endpoints: [] }));
  const starting = await addRoute(test, routeTo(newId(), await freePort()));
  const clients: RawClient[] = [];
  for (const host of [running, asleep, starting]) {
    for (const bytes of [get("/", host), upgrade(host)]) clients.push(new RawClient(test.port).send(bytes));
  }
  clients.push(new RawClient(test.port).send("GET / HT"));
  const open = () => {
    const { sandboxes = [] } = test.control.reports.at(-1) ?? {};
    return sandboxes.reduce((sum, { openRequests, openSockets }) => sum + openRequests + openSockets, 0);
  };
  await eventually(() => open() === 6, "all are open");
  await test.gateway[Symbol.asyncDispose]();
  for (const client of clients) await client.until(({ ended, closed }) => ended || closed);
  const held = clients.slice(2, 6);
  for (const { text } of held)
    t.match(text, /^HTTP\/1\.1 503 [\s\S]*X-Sandbox-Gateway: busy\r\n/, "no app heard of it");
  for (const client of clients) client.socket.destroy();
});

t.test("a gateway that is disposed of tells control what it counted last", async (t) => {
  const test = await startGateway(t, { activityFlushMs: 5_000 });
  const app = await startApp(
    t,
    answering(() => ok),
  );
  const host = await addRoute(test, routeTo(newId(), app));
  const client = await new RawClient(test.port).send(get("/", host)).until(({ text }) => text.endsWith("ok"));
  client.socket.destroy();
  await test.gateway[Symbol.asyncDispose]();
  t.match(test.control.reports, [{ sandboxes: [{ requests: 1, openRequests: 0 }] }]);
});
