import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import t from "tap";
import { addRoute, exchangeBytes, newId, routeTo, startGateway } from "./test-gateway.ts";

/** A port of this machine that nobody listens on. */
async function closedPort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

t.test(
  "a sandbox that listens on other ports only: no_listener, and at once when it has been up for long",
  async (t) => {
    const test = await startGateway(t);
    test.control.listeners = { reachable: [4000, 5000], loopbackOnly: [] };
    const host = await addRoute(test, routeTo(newId(), await closedPort()));
    const text = await exchangeBytes(test.port, `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
    t.match(text, /^HTTP\/1\.1 502 Bad Gateway\r\n/);
    t.match(text, /"code":"no_listener"/);
    t.match(text, /"listening_ports":\[4000,5000\]/);
    const navigation = `GET / HTTP/1.1\r\nHost: ${host}\r\nSec-Fetch-Mode: navigate\r\nConnection: close\r\n\r\n`;
    const page = await exchangeBytes(test.port, navigation);
    t.match(page, /X-Sandbox-Gateway: no_listener\r\n/, "a navigation is not shown the waking page first");
    t.match(page, /text\/html/);
  },
);

t.test("an app bound to loopback inside its sandbox: loopback_only", async (t) => {
  const test = await startGateway(t);
  const closed = await closedPort();
  test.control.listeners = { reachable: [4000], loopbackOnly: [closed] };
  const host = await addRoute(test, routeTo(newId(), closed));
  const text = await exchangeBytes(test.port, `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  t.match(text, /"code":"loopback_only"/);
});
