import type { Socket } from "node:net";
import t from "tap";
import { answering, ok, RawClient, startPreview } from "./test-gateway.ts";

/** The ways to an app: each has a client of its own for what comes before the final answer. */
const requests: Readonly<Record<string, (host: string) => string>> = {
  "a plain request": (host) => `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
  "an upgrade": (host) => `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
  "a body that waits": (host) =>
    `POST / HTTP/1.1\r\nHost: ${host}\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n`,
};

/** Says this for as long as the other end takes it. Resolves when the connection is closed. */
function sayForEver(socket: Socket, text: string): Promise<void> {
  const bytes = Buffer.from(text.repeat(Math.ceil(65_536 / text.length)), "latin1");
  const pump = () => {
    while (!socket.destroyed && socket.write(bytes));
  };
  socket.on("drain", pump);
  socket.once("end", () => socket.end());
  pump();
  return new Promise((resolve) => socket.once("close", () => resolve()));
}

t.test("interim answers come as the app says them, each before the next", async (t) => {
  for (const what of ["a plain request", "a body that waits"]) {
    const app = Promise.withResolvers<Socket>();
    const { port, host } = await startPreview(
      t,
      answering((_, socket) => void app.resolve(socket)),
    );
    const client = new RawClient(port).send(requests[what]!(host));
    const socket = await app.promise;
    const interim = [
      "HTTP/1.1 102 Processing\r\n\r\n",
      "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\nLink: </b>\r\nx-L: \xe4\xff\r\n\r\n",
      "HTTP/1.1 103 Early Hints\r\nLink: </c>\r\n\r\n",
    ];
    for (const [index, bytes] of interim.entries()) {
      socket.write(bytes, "latin1");
      const before = interim.slice(0, index + 1).join("");
      await client.until(({ text }) => text.length >= before.length);
      t.equal(client.text, before, `${what}: ${bytes.split("\r\n")[0]}`);
    }
    socket.write(ok);
    await client.until(({ text }) => text.endsWith("ok"));
    t.match(client.text.slice(interim.join("").length), /^HTTP\/1\.1 200 OK\r\n/);
    client.socket.destroy();
  }
});

t.test("an interim answer loses what belongs to its connection, and what only the gateway says", async (t) => {
  const hop = "Connection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nX-Sandbox-Gateway: fake\r\n";
  const { port, host } = await startPreview(
    t,
    answering(() => `HTTP/1.1 103 Early Hints\r\n${hop}Content-Length: 9\r\nLink: </a>\r\n\r\n${ok}`),
  );
  const client = new RawClient(port).send(requests["a plain request"]!(host));
  await client.until(({ text }) => text.endsWith("ok"));
  t.match(client.text, /^HTTP\/1\.1 103 Early Hints\r\nLink: <\/a>\r\n\r\nHTTP\/1\.1 200 OK\r\n/);
  client.socket.destroy();
});

t.test("an upgrade's interim answers end at the gateway: WebSocket clients know none", async (t) => {
  const switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
  const { port, host } = await startPreview(
    t,
    answering(() => `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${switching}`),
  );
  const client = new RawClient(port).send(requests["an upgrade"]!(host));
  await client.until(({ text }) => text.endsWith("\r\n\r\n"));
  t.match(client.text, /^HTTP\/1\.1 101 /);
  client.socket.destroy();
});

t.test("interim answers without an end: 502, and the app is let go", async (t) => {
  for (const [what, request] of Object.entries(requests)) {
    for (const status of ["100 Continue", "102 Processing", "103 Early Hints", "199 Odd"]) {
      const closed = Promise.withResolvers<void>();
      const { port, host } = await startPreview(
        t,
        answering((_, socket) => void sayForEver(socket, `HTTP/1.1 ${status}\r\nX: y\r\n\r\n`).then(closed.resolve)),
      );
      const client = new RawClient(port).send(request(host));
      await client.until(({ text }) => text.includes("upstream_reset"));
      t.match(client.text, /HTTP\/1\.1 502 Bad Gateway\r\n/, `${what}: ${status}`);
      await closed.promise;
      client.socket.destroy();
    }
  }
});

t.test("interim answers that nobody reads take no memory", async (t) => {
  for (const what of ["a plain request", "a body that waits"]) {
    const closed = Promise.withResolvers<void>();
    let sent = 0;
    const { port, host } = await startPreview(
      t,
      answering((_, socket) => {
        void sayForEver(socket, `HTTP/1.1 103 Early Hints\r\nLink: <${"x".repeat(60_000)}>\r\n\r\n`).then(() => {
          sent = socket.bytesWritten;
          closed.resolve();
        });
        return undefined;
      }),
    );
    const client = new RawClient(port);
    client.socket.pause();
    client.send(requests[what]!(host));
    await closed.promise;
    // What the kernel's buffers hold is beyond the gateway.
    t.ok(sent < 32 << 20, `${what}: the app is let go after ${sent >> 20} MiB`);
    client.socket.destroy();
  }
});
