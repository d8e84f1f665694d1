import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Test } from "tap";
import { WebSocketServer } from "ws";

/** Stands where the gateway does: answers each request with what arrived, and echoes on sockets. Answers its URL. */
export async function startUpstream(t: Test): Promise<string> {
  const server = createServer(({ url, headers }, response) => {
    const body = JSON.stringify({ url, headers });
    response.writeHead(200, { "content-type": "application/json", "content-length": body.length }).end(body);
  });
  const sockets = new WebSocketServer({ server });
  sockets.on("connection", (socket) => socket.on("message", (message) => socket.send(`echo ${message}`)));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(async () => {
    for (const socket of sockets.clients) socket.terminate();
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
