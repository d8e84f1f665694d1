import { once } from "node:events";
import t from "tap";
import { addRoute, answering, newId, RawClient, routeTo, startApp, startGateway } from "./test-gateway.ts";

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

t.test("an answer that comes during the upload is heard, and the connection ends soundly", async (t) => {
  const test = await startGateway(t);
  const app = await startApp(t, (socket) => {
    socket.once("data", () => socket.end("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig"));
  });
  const host = await addRoute(test, routeTo(newId(), app));
  const client = new RawClient(test.port).send(`POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 8000000\r\n\r\n`);
  client.send(Buffer.alloc(4_000_000));
  await client.until(({ text }) => text.endsWith("big"));
  t.match(client.text, /^HTTP\/1\.1 413 Content Too Large\r\n/);
  t.match(client.text, /Connection: close\r\n/);
  client.send(Buffer.alloc(4_000_000));
  await client.until(({ ended, closed }) => ended || closed);
  t.equal(client.error, undefined, "no reset");
  client.socket.destroy();
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

t.test("a stalled reader costs little memory", async (t) => {
  const test = await startGateway(t);
  const size = 64 << 20;
  const chunk = Buffer.alloc(1 << 16);
  let written = 0;
  const app = await startApp(
    t,
    answering((_, socket) => {
      const pump = () => {
        while (written < size && socket.write(chunk)) written += chunk.length;
        if (written < size) socket.once("drain", pump);
      };
      setImmediate(pump);
      return `HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`;
    }),
  );
  const host = await addRoute(test, routeTo(newId(), app));
  const before = process.memoryUsage.rss();
  const client = new RawClient(test.port);
  client.socket.once("data", () => client.socket.pause());
  client.send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  await once(client.socket, "pause");
  let last = -1;
  while (written !== last) {
    last = written;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  t.ok(written < size / 2, `the app was held back after ${written >> 20} MiB`);
  t.ok(process.memoryUsage.rss() - before < 48 << 20, "memory stays flat");
  client.socket.resume();
  await client.until(({ length }) => length > size);
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
