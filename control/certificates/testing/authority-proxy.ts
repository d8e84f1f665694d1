import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { createServer, request } from "node:https";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import type { Test } from "tap";
import type { Pebble } from "./pebble.ts";

export type Refusal = { readonly status: number; readonly type: string; readonly retryAfter?: string };
export type AuthorityProxy = {
  readonly directoryUrl: string;
  /** The CA's own; another one may take its place. */
  upstream: string;
  /** What was asked of the CA: the method and the first part of the path, such as `POST order-plz`. */
  readonly asked: string[];
  /** What the signed requests among them said, in the same places. */
  readonly payloads: unknown[];
  /** Looks at each request in place of the CA: a problem that it answers, or a connection that it loses. */
  refuse: (asked: string) => Refusal | "lost" | undefined;
  /** Called when the CA has answered, before the answer goes on. */
  answered: (asked: string) => void;
};

/** Stands before a CA, which takes it for itself, and fails when it is told to. */
export async function startAuthorityProxy(t: Test, { directoryUrl, localhost }: Pebble): Promise<AuthorityProxy> {
  const server = createServer({ cert: localhost.chain, key: localhost.key }, async (incoming, response) => {
    const asked = `${incoming.method} ${incoming.url!.split("/")[1]}`;
    const body = await buffer(incoming);
    proxy.asked.push(asked);
    proxy.payloads.push(payloadOf(body));
    const refusal = proxy.refuse(asked);
    if (refusal === "lost") return void incoming.socket.destroy();
    if (refusal !== undefined) {
      const { status, type, retryAfter } = refusal;
      const nonce = { "replay-nonce": "bm9uY2U" };
      const headers = { "content-type": "application/problem+json", ...(retryAfter && { "retry-after": retryAfter }) };
      const problem = { type: `urn:ietf:params:acme:error:${type}`, detail: `a test says ${type}`, status };
      return void response.writeHead(status, { ...headers, ...nonce }).end(JSON.stringify(problem));
    }
    const { port } = new URL(proxy.upstream);
    // With the Host as it came: the CA makes its URLs of it.
    const forwarded = request({
      host: "localhost",
      port,
      path: incoming.url,
      method: incoming.method,
      headers: incoming.headers,
    });
    forwarded.end(body);
    const [answer] = (await once(forwarded, "response")) as [IncomingMessage];
    proxy.answered(asked);
    response.writeHead(answer.statusCode!, answer.headers);
    answer.pipe(response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(async () => {
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
  });
  const proxy: AuthorityProxy = {
    directoryUrl: `https://localhost:${(server.address() as AddressInfo).port}/dir`,
    upstream: directoryUrl,
    asked: [],
    payloads: [],
    refuse: () => undefined,
    answered: () => {},
  };
  return proxy;
}

function payloadOf(body: Buffer): unknown {
  if (body.length === 0) return undefined;
  const { payload } = JSON.parse(String(body)) as { payload: string };
  return payload === "" ? undefined : JSON.parse(String(Buffer.from(payload, "base64url")));
}
