import type { Socket } from "node:net";
import fastify from "fastify";
import t, { type Test } from "tap";
import { request } from "undici";
import { type LiveStream, LiveStreams } from "./live-streams.ts";

async function open(t: Test, options?: { mostBuffered: number }) {
  const streams = new LiveStreams(options);
  const server = fastify();
  const opened = Promise.withResolvers<LiveStream>();
  const connected = Promise.withResolvers<Socket>();
  server.get("/", async (request, reply) => {
    connected.resolve(request.raw.socket);
    opened.resolve(streams.open(reply, "text/plain"));
  });
  const url = await server.listen({ port: 0, host: "127.0.0.1" });
  t.teardown(() => {
    streams.close();
    return server.close();
  });
  const { body, headers } = await request(url);
  body.on("error", () => {});
  return { streams, stream: await opened.promise, socket: await connected.promise, body, headers };
}

t.test("open() sends its head at once, and end() ends it properly", async (t) => {
  const { stream, body, headers } = await open(t);
  t.equal(headers["content-type"], "text/plain");
  stream.push("a");
  await stream.write("b");
  stream.end();
  t.equal(await body.text(), "ab");
  t.ok(stream.signal.aborted);
  stream.push("too late");
});

t.test("push() hands over what it says before anybody else is answered", async (t) => {
  const { stream, socket } = await open(t);
  stream.push("a");
  t.equal(socket.writableLength, 0);
});

t.test("cut() ends it like a broken connection", async (t) => {
  const { stream, body } = await open(t);
  stream.cut();
  await t.rejects(body.text());
});

t.test("close() ends it after what was pushed, and cuts a reader that takes nothing", async (t) => {
  const { streams, stream, body } = await open(t);
  stream.push("last words");
  streams.close();
  t.equal(await body.text(), "last words");
  const slow = await open(t);
  for (let n = 0; n < 100; n++) slow.stream.push("x".repeat(100_000));
  const over = new Promise((resolve) => slow.stream.signal.addEventListener("abort", resolve));
  slow.streams.close();
  await over;
});

t.test("signal aborts when the reader hangs up", async (t) => {
  const { stream, body } = await open(t);
  const aborted = new Promise((resolve) => stream.signal.addEventListener("abort", resolve));
  body.destroy();
  await aborted;
});

t.test("push() cuts a reader that takes nothing", async (t) => {
  const { stream } = await open(t, { mostBuffered: 1_000_000 });
  const piece = "x".repeat(100_000);
  let pushed = 0;
  while (!stream.signal.aborted && pushed < 1000) {
    stream.push(piece);
    pushed++;
    await new Promise(setImmediate);
  }
  t.ok(stream.signal.aborted);
});

t.test("write() waits for a reader that is slow", async (t) => {
  const { stream, body } = await open(t);
  let waiting: Promise<void> | undefined;
  for (let n = 0; n < 1000 && waiting === undefined; n++) {
    const write = stream.write("x".repeat(100_000));
    const state = await Promise.race([
      write.then(() => "taken"),
      new Promise((resolve) => setImmediate(resolve, "waiting")),
    ]);
    if (state === "waiting") waiting = write;
  }
  t.ok(waiting, "the reader's buffers are full");
  body.resume();
  await waiting;
});
