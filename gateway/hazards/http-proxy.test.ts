import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import httpProxy from "http-proxy";
import t, { type Test } from "tap";
import { answering, RawClient, startApp } from "./test-gateway.ts";

/** Why upgrades go through a tunnel of our own: what http-proxy makes of an app's answer, as of its last release. */

const upgrade =
  "GET /socket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n";

/** What a client gets through http-proxy when the app answers an upgrade with these bytes. */
async function through(t: Test, bytes: string, until: string): Promise<string> {
  const app = await startApp(
    t,
    answering(() => bytes),
  );
  const proxy = httpProxy.createProxyServer({ target: `http://127.0.0.1:${app}` });
  proxy.on("error", () => {});
  const server = createServer().on("upgrade", (request, socket, head) => proxy.ws(request, socket, head));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const client = new RawClient((server.address() as AddressInfo).port).send(upgrade);
  await client.until(({ text }) => text.includes(until));
  client.socket.destroy();
  server.close();
  return client.text;
}

t.test("http-proxy breaks the framing of a chunked refusal", async (t) => {
  const refusal = "HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nnope\r\n0\r\n\r\n";
  const text = await through(t, refusal, "nope");
  t.match(text, /transfer-encoding: chunked/i, "it announces chunks");
  t.match(text, /\r\n\r\nnope/, "and sends none: a client waits for ever, or reads garbage");
});

t.test("http-proxy lowers the case of the names in a 101", async (t) => {
  const head = "Connection: Upgrade\r\nUpgrade: websocket\r\nX-Name: value\r\n";
  const text = await through(t, `HTTP/1.1 101 Switching Protocols\r\n${head}\r\n`, "\r\n\r\n");
  t.match(text, /x-name: value/);
  t.notMatch(text, /X-Name/);
});
