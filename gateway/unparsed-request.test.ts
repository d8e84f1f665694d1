import { once } from "node:events";
import { createServer, type RequestListener, type ServerOptions } from "node:http";
import type { AddressInfo } from "node:net";
import t, { type Test } from "tap";
import { exchangeBytes, RawClient } from "./hazards/test-gateway.ts";
import { refuseUnparsed } from "./unparsed-request.ts";

/** A server that answers "ok", and what it cannot parse by refuseUnparsed(); ends with the test. */
async function open(
  t: Test,
  options: ServerOptions = {},
  listener: RequestListener = (_, response) => response.end("ok"),
  onRefused = () => {},
): Promise<number> {
  const server = createServer(options, (request, response) => {
    request.on("error", () => {});
    listener(request, response);
  });
  server.on("clientError", (error, socket) => {
    refuseUnparsed(error, socket);
    onRefused();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

t.test("refuseUnparsed() says in the gateway's name that it was no HTTP, and closes", async (t) => {
  const port = await open(t);
  for (const bytes of [
    "\x16\x03\x01\x02\x00",
    "GET / HTTP/1.1\r\nA B: c\r\n\r\n",
    "\r\n\r\nSSH-2.0-x\r\n",
    "GET / HTTX/1.1\r\n\r\n",
  ]) {
    const text = await exchangeBytes(port, bytes);
    t.match(text, /^HTTP\/1\.1 400 Bad Request\r\n/);
    t.match(text, /Content-Type: application\/problem\+json\r\n/);
    t.match(text, /X-Sandbox-Gateway: bad_request\r\n/);
    t.match(text, /Cache-Control: no-store\r\n/);
    t.match(text, /Connection: close\r\n/);
    const [, body = ""] = text.split("\r\n\r\n");
    t.match(text, `Content-Length: ${Buffer.byteLength(body)}\r\n`);
    t.match(JSON.parse(body), { type: "about:blank", status: 400, code: "bad_request" });
  }
});

t.test("refuseUnparsed() has a status of its own for a head that is too large", async (t) => {
  const text = await exchangeBytes(
    await open(t, { maxHeaderSize: 1000 }),
    `GET / HTTP/1.1\r\nX: ${"x".repeat(2000)}\r\n\r\n`,
  );
  t.match(text, /^HTTP\/1\.1 431 Request Header Fields Too Large\r\n[\s\S]*"status":431,"code":"bad_request"/);
});

t.test("refuseUnparsed() has a status of its own for a head that does not end", async (t) => {
  const port = await open(t, { headersTimeout: 20, requestTimeout: 20, connectionsCheckingInterval: 5 });
  t.match(await exchangeBytes(port, "GET / HTTP/1.1\r\nHost: a\r\n"), /^HTTP\/1\.1 408 Request Timeout\r\n/);
});

t.test("refuseUnparsed() has a status of its own for endless chunk extensions", async (t) => {
  const port = await open(t, {}, (request, response) => request.resume().once("end", () => response.end("ok")));
  const head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  t.match(
    await exchangeBytes(port, `${head}2;${"x".repeat(20_000)}\r\nab\r\n0\r\n\r\n`),
    /^HTTP\/1\.1 413 Content Too Large\r\n/,
  );
});

t.test("refuseUnparsed() answers once, whatever still comes, and does not reset", async (t) => {
  const port = await open(t, { maxHeaderSize: 1000 });
  const filler = Buffer.alloc(65_536, "x");
  for (const bytes of ["garbage\r\n\r\n", `GET / HTTP/1.1\r\nX: ${filler}`]) {
    const client = new RawClient(port).send(bytes);
    await client.until(({ text }) => text.endsWith("}"));
    for (let index = 0; index < 20; index++) {
      await new Promise((resolve) => client.socket.write(filler, resolve));
    }
    client.socket.end();
    await client.until(({ closed }) => closed);
    t.equal(client.error, undefined, "no reset");
    t.equal(client.text.match(/HTTP\/1\.1 /g)?.length, 1);
  }
});

t.test("refuseUnparsed() waits for no client that never closes", async (t) => {
  const client = new RawClient(await open(t)).send("garbage\r\n\r\n");
  await client.until(({ ended }) => ended);
  // The client's own side is still open: what ends it is a reset, at its next word.
  const deadline = Date.now() + 10_000;
  while (!client.closed && Date.now() < deadline) {
    client.send("x");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  t.equal(client.closed, true);
});

t.test("refuseUnparsed() cuts an answer that had begun when its own request breaks", async (t) => {
  const begun = Promise.withResolvers<void>();
  const port = await open(t, {}, (_, response) => {
    response.writeHead(200, { "Content-Length": "100" });
    response.write("some", () => begun.resolve());
  });
  const client = new RawClient(port).send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
  await client.until(({ text }) => text.endsWith("some"));
  await begun.promise;
  client.send("garbage\r\n\r\n");
  await client.until(({ ended, closed }) => ended || closed);
  t.match(client.text, /^HTTP\/1\.1 200 OK\r\n[\s\S]*some$/, "nothing was added to it");
  client.socket.destroy();
});

t.test("refuseUnparsed() lets the answer to a whole request finish, begun or not, as the last one", async (t) => {
  for (const begins of [true, false]) {
    const answer = Promise.withResolvers<() => void>();
    const refused = Promise.withResolvers<void>();
    const listener: RequestListener = (_, response) => {
      const head = () => response.writeHead(200, { "Content-Length": "10" });
      if (begins) head().write("some");
      answer.resolve(() => (begins ? response.end(" more.") : head().end("all of it.")));
    };
    const port = await open(t, {}, listener, refused.resolve);
    const client = new RawClient(port).send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    const finish = await answer.promise;
    if (begins) await client.until(({ text }) => text.endsWith("some"));
    client.send("garbage\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await refused.promise;
    client.send("more garbage\r\n");
    finish();
    t.match(await client.whole(), begins ? /some more\.$/ : /Connection: close\r\n[\s\S]*all of it\.$/i);
    t.equal(client.text.match(/HTTP\/1\.1 /g)?.length, 1);
    t.equal(client.error, undefined, "no reset");
  }
});

t.test("refuseUnparsed() answers on a connection that has carried answers before", async (t) => {
  const port = await open(t);
  const client = new RawClient(port).send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  await client.until(({ text }) => text.endsWith("ok") || text.endsWith("0\r\n\r\n"));
  client.send("garbage\r\n\r\n");
  t.match(await client.whole(), /^HTTP\/1\.1 200 OK\r\n[\s\S]*HTTP\/1\.1 400 Bad Request\r\n/);
});
