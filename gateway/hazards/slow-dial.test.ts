import t from "tap";
import { DeafPort } from "./deaf-port.ts";
import { hearing } from "./hearing-app.ts";
import { addRoute, eventually, newId, okApp, RawClient, routeTo, startApp, startGateway } from "./test-gateway.ts";

/** The ways to an app, each with a client of its own, up to the Host header. */
const ways = {
  "a plain request": "GET / HTTP/1.1\r\n",
  "an upgrade": "GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n",
  "a body that waits": "POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n",
} as const;

for (const [what, lines] of Object.entries(ways)) {
  t.test(`${what} to a port that takes no connection is held, and then refused for that`, async (t) => {
    const test = await startGateway(t, { connectTimeoutMs: 100, holdSeconds: 2 });
    const app = await DeafPort.open(t);
    const host = await addRoute(test, routeTo(newId(), app.port));
    const first = new RawClient(test.port).send(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
    t.match(await first.whole(), /^HTTP\/1\.1 200 OK\r\n/, "it is known to answer");
    await app.stopListening(t);
    const client = new RawClient(test.port).send(`${lines}Host: ${host}\r\n\r\n`);
    await client.until(({ text }) => text.endsWith("}"));
    t.match(client.text, /^HTTP\/1\.1 502 Bad Gateway\r\n[\s\S]*X-Sandbox-Gateway: no_listener\r\n/);
    client.socket.destroy();
    await app.listen();
  });

  t.test(`${what} whose dial is answered by another sandbox says nothing to it`, async (t) => {
    const test = await startGateway(t, { connectTimeoutMs: 10_000 });
    const app = await DeafPort.open(t);
    const route = routeTo(newId(), app.port);
    const host = await addRoute(test, route);
    const first = new RawClient(test.port).send(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
    await first.whole();
    await app.stopListening(t);
    app.bytes = "";
    const client = new RawClient(test.port).send(`${lines}Host: ${host}\r\n\r\n`);
    await eventually(() => {
      const last = test.control.reports.at(-1)?.sandboxes[0];
      return (last?.openRequests ?? 0) + (last?.openSockets ?? 0) === 1;
    }, "it is on its way");
    // The sandbox runs elsewhere from now on, and its address is another's.
    await addRoute(test, { ...route, ...routeTo(route.id, await okApp(t)), run: 2 });
    await app.listen();
    await client.until(({ text }) => text.includes("ok"));
    t.match(client.text, /^HTTP\/1\.1 200 OK\r\n/, "it finds its own sandbox");
    t.equal(app.bytes, "");
    client.socket.destroy();
  });
}

for (const [what, lines] of Object.entries(ways)) {
  t.test(
    `a client that leaves while the dial of ${what} waits leaves nothing behind, and nothing is said`,
    async (t) => {
      const test = await startGateway(t, { connectTimeoutMs: 10_000 });
      const app = await DeafPort.open(t);
      const host = await addRoute(test, routeTo(newId(), app.port));
      const first = new RawClient(test.port).send(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
      await first.whole();
      await app.stopListening(t);
      app.bytes = "";
      const open = () => {
        const last = test.control.reports.at(-1)?.sandboxes[0];
        return (last?.openRequests ?? 0) + (last?.openSockets ?? 0);
      };
      const client = new RawClient(test.port).send(`${lines}Host: ${host}\r\n\r\n`);
      await eventually(() => open() === 1, "it is on its way");
      client.socket.destroy();
      await eventually(() => open() === 0, "it is gone");
      await app.listen();
      const next = new RawClient(test.port).send(`GET /next HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
      t.match(await next.whole(), /^HTTP\/1\.1 200 OK\r\n/);
      t.match(app.bytes, /^GET \/next /, "the next request is the first that the app hears");
    },
  );
}

t.test("a body that was sent unasked is not lost with such a dial", async (t) => {
  const test = await startGateway(t, { connectTimeoutMs: 10_000 });
  const app = await DeafPort.open(t);
  const route = routeTo(newId(), app.port);
  const host = await addRoute(test, route);
  const first = new RawClient(test.port).send(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  await first.whole();
  await app.stopListening(t);
  const client = new RawClient(test.port).send(`${ways["a body that waits"]}Host: ${host}\r\n\r\nbody`);
  await eventually(() => test.control.reports.at(-1)?.sandboxes[0]?.openRequests === 1, "it is on its way");
  const { app: second, heard } = hearing("body");
  await addRoute(test, { ...route, ...routeTo(route.id, await startApp(t, second)), run: 2 });
  await app.listen();
  await client.until(({ text }) => text.includes("ok"));
  t.match(heard(), /\r\n\r\nbody$/);
  client.socket.destroy();
});
