import t from "tap";
import { addRoute, answering, newId, RawClient, routeTo, startApp, startGateway } from "./test-gateway.ts";

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
