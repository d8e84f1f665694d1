import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import t, { type Test } from "tap";
import { JoinedSockets } from "./joined-sockets.ts";

/** More than sockets and streams hold between them. */
const much = 16 << 20;

/** Both ends of one connection, either of which may be closed by itself. */
async function pair(t: Test): Promise<[near: Socket, far: Socket]> {
  const server = createServer({ allowHalfOpen: true });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const far = connect({ port: (server.address() as AddressInfo).port, host: "127.0.0.1", allowHalfOpen: true });
  const [near] = (await once(server, "connection")) as [Socket];
  server.close();
  for (const socket of [near, far]) t.teardown(() => socket.destroy());
  far.on("error", () => {});
  return [near, far];
}

/** A client and an app, each at its end of what is joined. */
async function join(t: Test, isLeaving = false) {
  const [clientSide, client] = await pair(t);
  const [appSide, app] = await pair(t);
  const joined = new JoinedSockets(clientSide, appSide, () => isLeaving, undefined);
  return { client, app, joined };
}

async function readAll(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

for (const [from, to] of [
  ["client", "app"],
  ["app", "client"],
] as const) {
  t.test(`JoinedSockets carries more than fits between them from ${from} to ${to}, whole`, async (t) => {
    const ends = await join(t);
    const sent = Buffer.alloc(much, "0123456789abcdef");
    ends[from].end(sent);
    // Nobody reads until everything between the two is full.
    let before = -1;
    while (before !== ends[from].bytesWritten - ends[from].writableLength) {
      before = ends[from].bytesWritten - ends[from].writableLength;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    t.ok(ends[from].writableLength > 0, "the sender is held back");
    t.ok((await readAll(ends[to])).equals(sent));
  });
}

t.test("JoinedSockets passes a client's half-close on, and what the app still says", async (t) => {
  const { client, app } = await join(t);
  client.end("last words");
  t.equal(String(await readAll(app)), "last words");
  app.end("an answer");
  t.equal(String(await readAll(client)), "an answer");
});

t.test("JoinedSockets ends the client when the app ends", async (t) => {
  const { client, app } = await join(t);
  app.end("good bye");
  t.equal(String(await readAll(client)), "good bye");
});

t.test("JoinedSockets ends each side when the other breaks", async (t) => {
  for (const [broken, other] of [
    ["client", "app"],
    ["app", "client"],
  ] as const) {
    const ends = await join(t);
    const ended = readAll(ends[other]).then(
      () => "ended",
      () => "ended",
    );
    ends[broken].resetAndDestroy();
    t.equal(await ended, "ended", broken);
  }
});

t.test("JoinedSockets says 1001 when the sandbox leaves, where a frame may begin", async (t) => {
  const { client, app } = await join(t, true);
  app.end();
  t.equal((await readAll(client)).toString("hex"), "880203e9");
});

t.test("JoinedSockets.end() says nothing in the middle of a frame", async (t) => {
  const { client, app, joined } = await join(t);
  // A text frame of five bytes, of which two come.
  app.write(Buffer.from([0x81, 0x05, 0x68, 0x65]));
  const [chunk] = (await once(client, "data")) as [Buffer];
  t.equal(chunk.length, 4);
  joined.end();
  t.equal((await readAll(client)).length, 0);
});
