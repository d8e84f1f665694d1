/**
 * The barest proxy over undici's `dispatch` that still forwards correctly: hop-by-hop headers stay on their hop, bodies
 * stream both ways with back pressure, and an end on one side is one on the other.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type Dispatcher, Pool } from "undici";

const hopByHop = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);
const pool = new Pool(`http://127.0.0.1:${process.argv[2]}`, { connections: null, pipelining: 1 });

class Forward implements Dispatcher.DispatchHandler {
  readonly #response: ServerResponse;
  #controller: Dispatcher.DispatchController | undefined;

  constructor(response: ServerResponse) {
    this.#response = response;
    response.once("close", () => {
      if (!response.writableFinished) this.#controller?.abort(new Error("the client is gone"));
    });
    response.on("drain", () => this.#controller?.resume());
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    const raw = controller.rawHeaders as Buffer[];
    const headers: string[] = [];
    for (let index = 0; index < raw.length; index += 2) {
      const name = raw[index]!.toString("latin1");
      if (!hopByHop.has(name.toLowerCase())) headers.push(name, raw[index + 1]!.toString("latin1"));
    }
    this.#response.sendDate = false;
    this.#response.writeHead(status, headers);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (!this.#response.write(chunk)) controller.pause();
  }

  onResponseEnd(): void {
    this.#response.end();
  }

  onResponseError(): void {
    if (this.#response.headersSent) this.#response.destroy();
    else this.#response.writeHead(502).end();
  }
}

function forward(request: IncomingMessage, response: ServerResponse): void {
  const { method, url, rawHeaders, headers: known } = request;
  const headers: string[] = [];
  for (let index = 0; index < rawHeaders.length; index += 2) {
    if (!hopByHop.has(rawHeaders[index]!.toLowerCase())) headers.push(rawHeaders[index]!, rawHeaders[index + 1]!);
  }
  const body = known["content-length"] === undefined && known["transfer-encoding"] === undefined ? null : request;
  pool.dispatch({ method: method as Dispatcher.HttpMethod, path: url!, headers, body }, new Forward(response));
}

const server = createServer(forward);
server.listen(0, "127.0.0.1", () => console.log((server.address() as { port: number }).port));
