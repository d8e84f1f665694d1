import { once } from "node:events";
import { type IncomingHttpHeaders, type IncomingMessage, request as plain } from "node:http";
import { connect as http2 } from "node:http2";
import { request as secure } from "node:https";
import { text } from "node:stream/consumers";
import { connect as tls } from "node:tls";
import { WebSocket } from "ws";

export type Asked = {
  readonly port: number;
  readonly host: string;
  readonly path?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** With it the request goes over TLS and trusts this authority alone. */
  readonly ca?: string;
};
export type Answer = { readonly status: number; readonly headers: IncomingHttpHeaders; readonly body: string };

/** One request on a connection of its own to 127.0.0.1, for the host's name. */
export async function ask({ port, host, path = "/", method = "GET", headers = {}, ca }: Asked): Promise<Answer> {
  const options = { host: "127.0.0.1", port, path, method, headers: { host, ...headers }, agent: false };
  const request = ca === undefined ? plain(options) : secure({ ...options, servername: host.replace(/:.*/, ""), ca });
  request.end();
  const [response] = (await once(request, "response")) as [IncomingMessage];
  return { status: response.statusCode!, headers: response.headers, body: await text(response) };
}

/** The same over HTTP/2. Answers the status. */
export async function askHttp2(port: number, host: string, ca: string): Promise<number> {
  const socket = tls({ host: "127.0.0.1", port, servername: host, ca, ALPNProtocols: ["h2"] });
  const session = http2(`https://${host}`, { createConnection: () => socket });
  const stream = session.request({ ":path": "/" });
  const [headers] = await once(stream, "response");
  stream.resume();
  await once(stream, "end");
  await new Promise<void>((closed) => session.close(closed));
  return headers[":status"];
}

/** What a socket answers to one message. */
export async function echo(scheme: "ws" | "wss", port: number, host: string, ca?: string): Promise<string> {
  // ws hands all of its options to the request.
  const options = { headers: { host }, servername: host, ca };
  const socket = new WebSocket(`${scheme}://127.0.0.1:${port}/`, options);
  await once(socket, "open");
  socket.send("hello");
  const [message] = await once(socket, "message");
  socket.close();
  await once(socket, "close");
  return String(message);
}
