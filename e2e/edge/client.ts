import { once } from "node:events";
import { type IncomingMessage, request as plain } from "node:http";
import { connect } from "node:http2";
import { request as secure } from "node:https";
import type { Readable, Writable } from "node:stream";
import { text } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { connect as connectTls } from "node:tls";

export const protocols = ["HTTP/1.1", "HTTP/2"] as const;

/** Where and how: with an authority over TLS, else in plain text, HTTP/2 by prior knowledge. */
export type Way = {
  readonly protocol: (typeof protocols)[number];
  readonly port: number;
  readonly host: string;
  readonly ca: string | undefined;
};
export type Request = {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: Readable;
};
export type Answer = {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: Readable;
};

/** One request on a connection of its own to 127.0.0.1, with a body that streams both ways. */
export function ask(way: Way, request: Request): Promise<Answer> {
  return way.protocol === "HTTP/2" ? askHttp2(way, request) : askHttp1(way, request);
}

/** The same, with the answer read whole. */
export async function askText(way: Way, request: Request): Promise<{ status: number; body: string }> {
  const { status, body } = await ask(way, request);
  return { status, body: await text(body) };
}

async function askHttp1({ port, host, ca }: Way, { method = "GET", path, headers, body }: Request): Promise<Answer> {
  const options = { host: "127.0.0.1", port, path, method, headers: { host, ...headers }, agent: false };
  const large = { ...options, maxHeaderSize: 1 << 24 };
  const request = ca === undefined ? plain(large) : secure({ ...large, servername: host, ca });
  const answered = once(request, "response") as Promise<[IncomingMessage]>;
  const sent = send(request, body);
  const [answer] = await answered;
  answer.on("close", () => void sent.catch(() => {}));
  return { status: answer.statusCode!, headers: answer.headers, body: answer };
}

async function askHttp2({ port, host, ca }: Way, { method = "GET", path, headers, body }: Request): Promise<Answer> {
  const session = connect(`${ca === undefined ? "http" : "https"}://${host}`, {
    ...(ca === undefined
      ? { host: "127.0.0.1", port }
      : {
          createConnection: () => connectTls({ host: "127.0.0.1", port, servername: host, ca, ALPNProtocols: ["h2"] }),
        }),
    maxSendHeaderBlockLength: 1 << 24,
    settings: { initialWindowSize: 1 << 24, maxHeaderListSize: 1 << 24 },
  });
  session.on("error", () => {});
  const pseudo = { ":method": method, ":path": path, ":authority": host };
  const stream = session.request({ ...pseudo, ...headers }, { endStream: body === undefined });
  stream.once("close", () => session.close());
  const answered = once(stream, "response") as Promise<[Record<string, unknown>]>;
  if (body !== undefined) void send(stream, body).catch(() => {});
  const [answer] = await answered;
  return { status: Number(answer[":status"]), headers: answer, body: stream };
}

async function send(to: Writable, body: Readable | undefined): Promise<void> {
  if (body === undefined) to.end();
  else await pipeline(body, to);
}
