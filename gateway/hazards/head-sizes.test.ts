import t from "tap";
import {
  addRoute,
  answering,
  newId,
  ok,
  RawClient,
  routeTo,
  startApp,
  startGateway,
  startPreview,
} from "./test-gateway.ts";

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

t.test("more headers than anybody has: 431, and nobody waits for it", async (t) => {
  const { port, host } = await startPreview(
    t,
    answering(() => ok),
  );
  const request = (count: number) => `GET / HTTP/1.1\r\nHost: ${host}\r\n${"a:\r\n".repeat(count)}\r\n`;
  const most = new RawClient(port).send(request(1999));
  await most.until(({ text }) => text.endsWith("ok"));
  t.match(most.text, /^HTTP\/1\.1 200 OK\r\n/);
  most.socket.destroy();
  for (const count of [2000, 200_000]) {
    const more = new RawClient(port).send(request(count));
    t.match(await more.whole(), /^HTTP\/1\.1 431 Request Header Fields Too Large\r\n/, `${count} headers`);
    t.equal(more.error, undefined);
  }
});

t.test("an app's head may be as large as Traefik lets through, whichever way it comes", async (t) => {
  const { port, host } = await startPreview(
    t,
    answering(() => `HTTP/1.1 403 Forbidden\r\nX-Large: ${"x".repeat(900_000)}\r\nContent-Length: 2\r\n\r\nok`),
  );
  for (const lines of [
    "GET / HTTP/1.1\r\n",
    "GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n",
    "POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n",
  ]) {
    const client = new RawClient(port).send(`${lines}Host: ${host}\r\n\r\n`);
    await client.until(({ text }) => text.endsWith("ok"));
    t.match(client.text.slice(0, 1000), /^HTTP\/1\.1 403 Forbidden\r\nX-Large: xxx/, lines);
    client.socket.destroy();
  }
});
