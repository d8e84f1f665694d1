import t from "tap";
import {
  addRoute,
  answering,
  eventually,
  newId,
  okApp,
  RawClient,
  routeTo,
  startApp,
  startGateway,
} from "../hazards/test-gateway.ts";

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

t.test("limit() bounds the requests that one sandbox has open, and only its own", async (t) => {
  const test = await startGateway(t, { requestsPerSandbox: 2 });
  const silent = await startApp(t, () => {});
  const host = await addRoute(test, routeTo(newId(), silent));
  const other = await addRoute(
    test,
    routeTo(
      newId(),
      await startApp(
        t,
        answering(() => ok),
      ),
    ),
  );
  const open = [1, 2].map(() => new RawClient(test.port).send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`));
  const third = new RawClient(test.port).send(`GET / HTTP/1.1\r\nHost: ${other}\r\n\r\n`);
  await third.until(({ text }) => text.endsWith("ok"));
  third.send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  await third.until(({ text }) => text.includes("too_many_requests"));
  t.match(third.text, /HTTP\/1\.1 429 Too Many Requests\r\n[\s\S]*Retry-After: 1\r\n/);
  for (const client of [...open, third]) client.socket.destroy();
});

t.test("limit() bounds the sockets that one sandbox has open", async (t) => {
  const test = await startGateway(t, { socketsPerSandbox: 1 });
  const app = await startApp(
    t,
    answering((_, socket) => {
      socket.once("end", () => socket.end());
      return "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    }),
  );
  const host = await addRoute(test, routeTo(newId(), app));
  const upgrade = `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`;
  const first = await new RawClient(test.port).send(upgrade).until(({ text }) => text.includes("\r\n\r\n"));
  t.match(first.text, /^HTTP\/1\.1 101 /);
  const refused = await new RawClient(test.port).send(upgrade).whole();
  t.match(refused, /^HTTP\/1\.1 429 [\s\S]*X-Sandbox-Gateway: too_many_requests\r\n/);
  t.match(refused, /Retry-After: 1\r\n/);
  const other = await addRoute(test, routeTo(newId(), app));
  const second = new RawClient(test.port).send(upgrade.replace(host, other));
  await second.until(({ text }) => text.startsWith("HTTP/1.1 101 "));
  t.pass("another sandbox does not notice");
  const open = () => test.control.reports.at(-1)?.sandboxes.reduce((sum, each) => sum + each.openSockets, 0);
  await eventually(() => open() === 2, "both are counted");
  for (const { socket } of [first, second]) socket.destroy();
  await eventually(() => (open() ?? 0) === 0, "both are closed");
  const again = await new RawClient(test.port).send(upgrade).until(({ text }) => text.includes("\r\n\r\n"));
  t.match(again.text, /^HTTP\/1\.1 101 /, "a socket that ended makes room");
  again.socket.destroy();
});

t.test("limit() bounds the rate of one sandbox", async (t) => {
  const test = await startGateway(t, { requestsPerSecond: 2 });
  const host = await addRoute(
    test,
    routeTo(
      newId(),
      await startApp(
        t,
        answering(() => ok),
      ),
    ),
  );
  const client = new RawClient(test.port);
  for (let index = 0; index < 3; index++) client.send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  await client.until(({ text }) => text.includes("too_many_requests"));
  t.equal(client.text.match(/HTTP\/1\.1 200 OK/g)?.length, 2);
  t.match(client.text, /HTTP\/1\.1 429 [\s\S]*Retry-After: 1\r\n/);
  const other = await addRoute(test, routeTo(newId(), await okApp(t)));
  const second = new RawClient(test.port).send(`GET / HTTP/1.1\r\nHost: ${other}\r\n\r\n`);
  await second.until(({ text }) => text.endsWith("ok"));
  t.match(second.text, /^HTTP\/1\.1 200 OK\r\n/, "another sandbox does not notice");
  for (const { socket } of [client, second]) socket.destroy();
});
