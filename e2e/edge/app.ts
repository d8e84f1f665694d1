import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { pipeline } from "node:stream/promises";
import type { Test } from "tap";
import { WebSocketServer } from "ws";
import { checksumOf, madeUpBytes } from "./made-up-bytes.ts";

export type App = {
  readonly port: number;
  /** Sends an event to everybody who listens at `/events`. */
  emit(text: string): void;
};

/** What a sandbox would run: `/bytes?count=` to download, `/checksum` to upload to, `/events`, `/headers`, and an echoing socket. */
export async function startApp(t: Test): Promise<App> {
  const listeners = new Set<ServerResponse>();
  const server = createServer({ maxHeaderSize: 1 << 21 }, (request, response) => {
    void answer(request, response, listeners).catch((error) => response.destroy(error));
  });
  // An upload may take as long as it takes.
  server.requestTimeout = 0;
  const sockets = new WebSocketServer({ server });
  sockets.on("connection", (socket) => socket.on("message", (message) => socket.send(`echo ${message}`)));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(async () => {
    for (const socket of sockets.clients) socket.terminate();
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
  });
  return {
    port: (server.address() as AddressInfo).port,
    emit: (text) => {
      for (const listener of listeners) listener.write(`data: ${text}\n\n`);
    },
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  listeners: Set<ServerResponse>,
): Promise<void> {
  const { pathname, searchParams } = new URL(request.url!, "http://app");
  switch (pathname) {
    case "/bytes": {
      const count = Number(searchParams.get("count"));
      response.writeHead(200, { "content-type": "application/octet-stream", "content-length": count });
      return pipeline(madeUpBytes(count), response);
    }
    case "/checksum":
      return void response.end(JSON.stringify(await checksumOf(request)));
    case "/events":
      response.writeHead(200, { "content-type": "text/event-stream" });
      listeners.add(response);
      response.once("close", () => listeners.delete(response));
      return void response.write("data: hello\n\n");
    case "/large-head":
      response.setHeader("x-large", "a".repeat(Number(searchParams.get("bytes"))));
      return void response.end("ok");
    default: {
      const { url, headers, rawHeaders, socket } = request;
      return void response.end(
        JSON.stringify({ url, headers, bytes: rawHeaders.join("").length, port: socket.localPort }),
      );
    }
  }
}
