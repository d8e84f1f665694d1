import type { Socket } from "node:net";
import t from "tap";
import { answering, eventually, RawClient, startPreview } from "./test-gateway.ts";

const requests: Readonly<Record<string, { readonly lines: string; readonly answer: string; readonly body?: string }>> =
  {
    GET: { lines: "GET / HTTP/1.1\r\n", answer: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" },
    "GET with chunks": {
      lines: "GET / HTTP/1.1\r\n",
      answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    },
    HEAD: { lines: "HEAD / HTTP/1.1\r\n", answer: "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n" },
    "HEAD of chunks": {
      lines: "HEAD / HTTP/1.1\r\n",
      answer: "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n",
    },
    "no content": { lines: "DELETE / HTTP/1.1\r\n", answer: "HTTP/1.1 204 No Content\r\n\r\n" },
    "not modified": { lines: "GET / HTTP/1.1\r\n", answer: "HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n" },
    "an upload": {
      lines: "POST / HTTP/1.1\r\nContent-Length: 4\r\n",
      body: "body",
      answer: "HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok",
    },
    "an HTTP/1.0 client": {
      lines: "GET / HTTP/1.0\r\nConnection: keep-alive\r\n",
      answer: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    },
    "an interim answer": {
      lines: "GET / HTTP/1.1\r\n",
      answer: "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    },
  };

t.test("one connection to the app serves one request after the other, and so does the client's", async (t) => {
  const sockets = new Set<Socket>();
  let answer = "";
  const { port, host } = await startPreview(t, (socket) =>
    answering(() => {
      sockets.add(socket);
      return answer;
    })(socket),
  );
  const client = new RawClient(port);
  for (const [what, { lines, body = "", ...each }] of Object.entries(requests)) {
    answer = each.answer;
    for (let round = 0; round < 2; round++) {
      const before = client.length;
      client.send(`${lines}Host: ${host}\r\n\r\n${body}`);
      await client.until(({ length, text }) => length > before && /\r\n\r\n(ok|(2\r\nok\r\n0\r\n\r\n))?$/.test(text));
      // The app's end of a chunked body is read a moment after its last chunk.
      await new Promise((resolve) => setImmediate(resolve));
    }
    t.equal(sockets.size, 1, what);
  }
  t.notMatch(client.text, /connection: close/i);
  client.socket.destroy();
});

t.test(
  "an answer with which the app ends its connection costs the next request nothing, and the client's stays",
  async (t) => {
    let connections = 0;
    const { port, host } = await startPreview(
      t,
      answering((_, socket) => {
        connections++;
        socket.end("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
        return undefined;
      }),
    );
    const client = new RawClient(port);
    for (let round = 1; round <= 10; round++) {
      client.send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
      await client.until(({ text }) => text.match(/200 OK/g)?.length === round && text.endsWith("ok"));
    }
    t.equal(connections, 10);
    t.notMatch(client.text, /connection: close/i);
    client.socket.destroy();
  },
);

t.test("a refusal that has nothing left to read leaves the client's connection open", async (t) => {
  const { port, host, route, control, gateway } = await startPreview(
    t,
    answering(() => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
  );
  const client = new RawClient(port);
  control.publish({ ...route, status: "stopped", endpoints: [] });
  await eventually(() => gateway.table.get(route.id)?.status === "stopped", "it sleeps");
  control.wake = () => ({ outcome: "refused", refusal: { code: "low_memory", message: "m" } });
  client.send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  await client.until(({ text }) => text.endsWith("}"));
  t.match(client.text, /^HTTP\/1\.1 503 [\s\S]*X-Sandbox-Gateway: low_memory\r\n[\s\S]*Connection: keep-alive\r\n/);
  control.publish({ ...route, generation: 9 });
  await eventually(() => gateway.table.get(route.id)?.status === "running", "it runs");
  client.send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  await client.until(({ text }) => text.endsWith("ok"));
  t.match(client.text, /HTTP\/1\.1 200 OK\r\n/);
  client.socket.destroy();
});
