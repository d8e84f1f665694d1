import t from "tap";
import { addRoute, answering, newId, RawClient, routeTo, startApp, startGateway } from "./test-gateway.ts";

const get = (host: string) => `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`;

t.test("an app that does not begin its answer: 504 upstream_timeout", async (t) => {
  const test = await startGateway(t, { headTimeoutSeconds: 1 });
  const host = await addRoute(test, routeTo(newId(), await startApp(t, () => {})));
  const client = await new RawClient(test.port).send(get(host)).until(({ text }) => text.includes("upstream_timeout"));
  t.match(client.text, /^HTTP\/1\.1 504 Gateway Timeout\r\n/);
  client.socket.destroy();
  const upgrade = `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`;
  t.match(
    await new RawClient(test.port).send(upgrade).whole(),
    /^HTTP\/1\.1 504 Gateway Timeout\r\n/,
    "an upgrade too",
  );
  const expecting = `POST / HTTP/1.1\r\nHost: ${host}\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n`;
  t.match(await new RawClient(test.port).send(expecting).whole(), /^HTTP\/1\.1 504 /, "and a body that waits");
});

t.test("an app that stops in the middle of its answer: the answer is cut, visibly", async (t) => {
  const test = await startGateway(t, { bodyIdleSeconds: 1 });
  const app = await startApp(
    t,
    answering(() => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n"),
  );
  const host = await addRoute(test, routeTo(newId(), app));
  const client = await new RawClient(test.port).send(get(host)).until(({ closed, ended }) => closed || ended);
  t.match(client.text, /some\r\n$/, "no clean end");
  client.socket.destroy();
});

t.test("a client that stops in the middle of its body: 408, and the app's connection ends", async (t) => {
  const test = await startGateway(t, { bodyIdleSeconds: 1 });
  const gone = Promise.withResolvers<void>();
  const app = await startApp(t, (socket) => {
    socket.on("data", () => {});
    socket.once("end", () => socket.end());
    socket.once("close", gone.resolve);
  });
  const host = await addRoute(test, routeTo(newId(), app));
  const client = new RawClient(test.port).send(`POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 100\r\n\r\nsome`);
  await client.until(({ text }) => text.includes("\r\n\r\n"));
  t.match(client.text, /^HTTP\/1\.1 408 Request Timeout\r\n/);
  await gone.promise;
  client.socket.destroy();
});

t.test("a client that never ends its head: 408", async (t) => {
  const test = await startGateway(t, { clientHeadSeconds: 1 });
  const text = await new RawClient(test.port).send("GET / HTTP/1.1\r\nHost: a\r\n").whole();
  t.match(text, /^HTTP\/1\.1 408 Request Timeout\r\n/);
  t.match(text, /X-Sandbox-Gateway: bad_request\r\n/);
});

t.test("a socket without data: it ends with 1001", async (t) => {
  const test = await startGateway(t, { socketIdleSeconds: 1 });
  const app = await startApp(
    t,
    answering(() => "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"),
  );
  const host = await addRoute(test, routeTo(newId(), app));
  const upgrade = `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`;
  const client = await new RawClient(test.port).send(upgrade).until(({ ended }) => ended);
  t.strictSame([...client.received.subarray(-4)], [0x88, 0x02, 0x03, 0xe9]);
  client.socket.destroy();
});

t.test("a head that is too large: 431 for headers, 414 for the target, and no reset", async (t) => {
  const test = await startGateway(t);
  const host = await addRoute(test, routeTo(newId(), await startApp(t, () => {})));
  const large = "x".repeat(1_200_000);
  const header = new RawClient(test.port).send(`GET / HTTP/1.1\r\nHost: ${host}\r\nX-Large: ${large}\r\n\r\n`);
  t.match(await header.whole(), /^HTTP\/1\.1 431 Request Header Fields Too Large\r\n/);
  t.equal(header.error, undefined);
  const target = new RawClient(test.port).send(`GET /${large.slice(0, 600_000)} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  t.match(await target.whole(), /^HTTP\/1\.1 414 URI Too Long\r\n/);
  t.equal(target.error, undefined);
});

t.test("a head as large as Traefik lets through reaches the app", async (t) => {
  const test = await startGateway(t);
  const host = await addRoute(
    test,
    routeTo(
      newId(),
      await startApp(
        t,
        answering(() => "HTTP/1.1 204 No Content\r\n\r\n"),
      ),
    ),
  );
  const client = new RawClient(test.port).send(
    `GET / HTTP/1.1\r\nHost: ${host}\r\nX-Large: ${"x".repeat(900_000)}\r\n\r\n`,
  );
  await client.until(({ text }) => text.includes("\r\n\r\n"));
  t.match(client.text, /^HTTP\/1\.1 204 No Content\r\n/);
  client.socket.destroy();
});
