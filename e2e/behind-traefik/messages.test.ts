import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { gzipSync } from "node:zlib";
import t from "tap";
import { answering, ok, RawClient } from "../../gateway/hazards/test-gateway.ts";
import { eventually } from "../main-loop.ts";
import { missingPart } from "../parts/parts.ts";
import { startEdge } from "./edge.ts";

/** The rules about messages once more, with Traefik as the product configures it before the gateway. */

const skip = missingPart("traefik");
const edge = skip ? undefined : await startEdge(t);

/** What the app sees of a request with these header lines. */
async function seenByApp(request: string, lines: string): Promise<string> {
  const { traefik, addApp } = edge!;
  const seen = Promise.withResolvers<string>();
  const host = await addApp(
    answering((head) => {
      seen.resolve(head);
      return ok;
    }),
  );
  const client = new RawClient(traefik.web).send(`${request} HTTP/1.1\r\nHost: ${host}\r\n${lines}\r\n`);
  await client.until(({ text }) => text.endsWith("ok"));
  client.socket.destroy();
  return (await seen.promise).replaceAll(host, "PUBLIC");
}

/** What the client sees of an app's answer. */
async function seenByClient(bytes: string, until = "ok"): Promise<string> {
  const { traefik, addApp } = edge!;
  const host = await addApp(answering(() => bytes));
  const client = new RawClient(traefik.web).send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  await client.until(({ text }) => text.endsWith(until));
  client.socket.destroy();
  return client.text.replaceAll(host, "PUBLIC");
}

t.test("behind Traefik, a request's headers", { skip }, async (t) => {
  const duplicates = "X-b: 1\r\nx-A: \xe4\xff\r\nX-b: 2\r\nCookie: a=b\r\n";
  const forged =
    "X-Forwarded-For: 6.6.6.6\r\nX_Forwarded_For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\nTrue-Client-Ip: 6.6.6.6\r\n";
  const hop = "Connection: X-Hop\r\nX-Hop: 1\r\nTE: trailers\r\n";
  const head = await seenByApp("GET /a//b%2fc;d?e=f&g=%zz", `${duplicates}${forged}${hop}`);
  t.match(head, /^GET \/a\/b%2Fc;d\?e=f&g=%zz HTTP\/1\.1\r\n/, "the target");
  t.match(head, /X-B: 1\r\n/i);
  t.match(head, /X-B: 2\r\n/i, "duplicates stay");
  t.match(head, /X-A: \xe4\xff\r\n/i, "bytes stay");
  t.notMatch(head, /6\.6\.6\.6/, "nobody says who he is");
  t.notMatch(head, /x-hop|\bte:/i, "the hop's own headers end");
  t.match(head, /X-Forwarded-For: 127\.0\.0\.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: PUBLIC\r\n/);
  t.match(head, /^host: localhost:3000\r\n/im);
});

t.test("behind Traefik, an answer's headers", { skip }, async (t) => {
  const head = "X-b: 1\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\nX-b: 2\r\nX-L: \xe4\r\n";
  const text = await seenByClient(`HTTP/1.1 418 I am a Teapot\r\n${head}Content-Length: 2\r\n\r\nok`);
  t.match(text, /^HTTP\/1\.1 418 /);
  t.match(text, /X-B: 1\r\n/i);
  t.match(text, /X-B: 2\r\n/i);
  t.match(text, /X-L: \xe4\r\n/i);
  t.match(text, /Set-Cookie: a=b\r\n/);
  t.match(text, /Set-Cookie: c=d\r\n/);
});

t.test("behind Traefik, what Traefik itself rewrites", { skip }, async (t) => {
  t.match(await seenByApp("GET /", "x-lower: 1\r\n"), /X-Lower: 1\r\n/, "names of headers are spelt its way");
  t.match(await seenByApp("GET /a/../b", ""), /^GET \/b HTTP/, "dot segments are resolved");
  t.match(await seenByApp("GET /a//b%2f", ""), /^GET \/a\/b%2F HTTP/, "slashes collapse, escapes are in upper case");
  t.match(await seenByApp("GET /", "B: 1\r\nA: 2\r\n"), /A: 2\r\nB: 1\r\n/, "headers are sorted by name");
  t.match(
    await seenByApp("GET /", ""),
    /Accept-Encoding: gzip\r\n/,
    "it asks for gzip when the client asks for nothing",
  );
  const teapot = "HTTP/1.1 418 Short and Stout\r\nContent-Length: 2\r\n\r\nok";
  t.match(await seenByClient(teapot), /^HTTP\/1\.1 418 I'm a teapot\r\n/, "reason phrases are its own");
});

t.test("behind Traefik, a client without Accept-Encoding gets its bytes", { skip }, async (t) => {
  const body = gzipSync("ok").toString("latin1");
  const head = `HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: ${body.length}\r\n\r\n`;
  const text = await seenByClient(`${head}${body}`, "0\r\n\r\n");
  t.match(text, /\r\n2\r\nok\r\n0\r\n\r\n$/);
  t.notMatch(text, /content-encoding/i);
});

t.test("behind Traefik, a head comes before the first byte of its body", { skip }, async (t) => {
  t.match(await seenByClient("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "\r\n\r\n"), /^HTTP\/1\.1 200 OK\r\n/);
  const hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n";
  t.match(await seenByClient(`${hints}${ok}`), /^HTTP\/1\.1 103 Early Hints\r\nLink: <\/a>; rel=preload\r\n/);
});

t.test("behind Traefik, trailers arrive", { skip }, async (t) => {
  const bytes =
    "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n";
  t.match(await seenByClient(bytes, "X-Sum: 1\r\n\r\n"), /2\r\nok\r\n0\r\n/);
});

t.test("behind Traefik, a cut answer is visibly cut", { skip }, async (t) => {
  const { traefik, addApp } = edge!;
  const cuts = {
    "a length": "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nok",
    chunks: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
  };
  for (const [what, bytes] of Object.entries(cuts)) {
    const host = await addApp(
      answering((_, socket) => {
        socket.write(bytes, () => socket.resetAndDestroy());
        return undefined;
      }),
    );
    const client = new RawClient(traefik.web).send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    await client.until(({ closed, ended, text }) => closed || ended || text.endsWith("0\r\n\r\n"));
    t.notMatch(client.text, /0\r\n\r\n$/, `${what}: no clean end`);
    t.match(client.text, /^($|HTTP\/1\.1 (200|502) )/);
    client.socket.destroy();
  }
});

t.test("behind Traefik, HTTP/2 over TLS reaches the app as HTTP/1.1", { skip }, async (t) => {
  const { traefik, addApp } = await startEdge(t, { tls: true });
  const heads: string[] = [];
  const host = await addApp(
    answering((head) => {
      heads.push(head);
      return ok;
    }),
  );
  const open = () =>
    connectHttp2(`https://127.0.0.1:${traefik.websecure}`, { servername: host, rejectUnauthorized: false });
  await eventually(async () => {
    const session = open();
    session.on("error", () => {});
    const stream = session.request({ ":path": "/a", ":authority": host });
    const [headers] = await once(stream, "response", { signal: AbortSignal.timeout(2_000) }).finally(() =>
      session.destroy(),
    );
    return headers[":status"] === 200;
  });
  t.match(heads.at(-1), /^GET \/a HTTP\/1\.1\r\n/);
  t.match(heads.at(-1), /X-Forwarded-Proto: https\r\n/);
});
