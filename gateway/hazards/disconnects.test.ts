import t from "tap";
import {
  addRoute,
  answering,
  eventually,
  heldBytes,
  newId,
  RawClient,
  routeTo,
  settled,
  startApp,
  startGateway,
  startPreview,
} from "./test-gateway.ts";

t.test("a client that leaves takes its request at the app with it", async (t) => {
  const stages = {
    "before the answer": undefined,
    "after the head": "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n",
    "in the body": "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome",
  };
  for (const [when, bytes] of Object.entries(stages)) {
    const test = await startGateway(t);
    const reached = Promise.withResolvers<void>();
    const gone = Promise.withResolvers<void>();
    const app = await startApp(
      t,
      answering((_, socket) => {
        reached.resolve();
        socket.once("close", gone.resolve);
        socket.once("end", () => socket.end());
        return bytes;
      }),
    );
    const host = await addRoute(test, routeTo(newId(), app));
    const client = new RawClient(test.port).send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    await reached.promise;
    if (bytes) await client.until(({ text }) => text.includes("\r\n\r\n"));
    client.socket.destroy();
    await gone.promise;
    t.pass(`${when}: the app's connection ends`);
  }
});

t.test("a client that leaves during its upload ends it at the app", async (t) => {
  const test = await startGateway(t);
  const gone = Promise.withResolvers<void>();
  const reached = Promise.withResolvers<void>();
  const app = await startApp(t, (socket) => {
    socket.on("data", (chunk) => chunk.includes("part") && reached.resolve());
    socket.once("end", () => socket.end());
    socket.once("close", gone.resolve);
  });
  const host = await addRoute(test, routeTo(newId(), app));
  const client = new RawClient(test.port).send(`POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 100\r\n\r\npart`);
  await reached.promise;
  client.socket.destroy();
  await gone.promise;
  t.pass("the app's connection ends");
});

t.test("a refused upload gets its answer and no reset", async (t) => {
  const test = await startGateway(t);
  const client = new RawClient(test.port).send(
    `POST / HTTP/1.1\r\nHost: nowhere.example\r\nContent-Length: 8000000\r\n\r\n`,
  );
  client.send(Buffer.alloc(8_000_000));
  await client.until(({ ended, closed }) => ended || closed);
  t.match(client.text, /^HTTP\/1\.1 421 Misdirected Request\r\n/);
  t.equal(client.error, undefined, "no reset");
  client.socket.destroy();
});

t.test("a stalled reader costs next to no memory", async (t) => {
  const size = 64 << 20;
  const chunk = Buffer.alloc(1 << 16);
  let written = 0;
  const { port, host } = await startPreview(
    t,
    answering((_, socket) => {
      const pump = () => {
        while (written < size) {
          written += chunk.length;
          if (!socket.write(chunk)) return;
        }
      };
      socket.on("drain", pump);
      setImmediate(pump);
      return `HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`;
    }),
  );
  const before = heldBytes();
  const client = new RawClient(port);
  client.socket.pause();
  client.send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  await eventually(() => written > 0, "the app begins");
  await settled(() => written);
  t.ok(written < size / 2, `the app was held back after ${written >> 20} MiB`);
  await eventually(() => heldBytes() - before < 4 << 20, "memory stays flat");
  client.socket.resume();
  await client.until(({ length }) => length > size);
  client.socket.destroy();
});

t.test("an answer of 64 MiB behind one that is not read yet costs next to no memory either", async (t) => {
  const size = 64 << 20;
  let written = 0;
  const { port, host } = await startPreview(
    t,
    answering((head, socket) => {
      if (head.startsWith("GET /first"))
        return `HTTP/1.1 200 OK\r\nContent-Length: ${1 << 20}\r\n\r\n${"x".repeat(1 << 20)}`;
      const pump = () => {
        while (written < size) {
          written += 1 << 16;
          if (!socket.write(Buffer.alloc(1 << 16))) return;
        }
      };
      socket.on("drain", pump);
      setImmediate(pump);
      return `HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`;
    }),
  );
  const before = heldBytes();
  const client = new RawClient(port);
  client.socket.pause();
  const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
  client.send(get("/first") + get("/second"));
  await eventually(() => written > 0, "the second one's turn comes");
  await settled(() => written);
  t.ok(written < size / 2, `the app was held back after ${written >> 20} MiB`);
  await eventually(() => heldBytes() - before < 6 << 20, "memory stays flat");
  client.socket.destroy();
});

t.test("an idle connection that the app closed, or spoke on, costs no request", async (t) => {
  const test = await startGateway(t);
  let count = 0;
  const app = await startApp(
    t,
    answering((_, socket) => {
      // The next request meets a connection that is closed as it goes out, or has bytes nobody asked for.
      if (++count % 3 === 1) setImmediate(() => socket.end());
      if (count % 3 === 2) setImmediate(() => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"));
      return "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    }),
  );
  const host = await addRoute(test, routeTo(newId(), app));
  const client = new RawClient(test.port);
  for (let index = 1; index <= 60; index++) {
    const before = client.length;
    client.send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    await client.until(({ length, text }) => length > before && text.endsWith("ok"));
  }
  t.equal(client.text.match(/HTTP\/1\.1 200 OK/g)?.length, 60);
  t.notMatch(client.text, /evil/);
  client.socket.destroy();
});
