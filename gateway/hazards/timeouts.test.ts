import t from "tap";
import {
  addRoute,
  answering,
  eventually,
  newId,
  ok,
  RawClient,
  routeTo,
  startApp,
  startGateway,
  startPreview,
} from "./test-gateway.ts";

/** The ways to an app, each with a client of its own, up to the Host header. */
const ways = {
  "a plain request": "GET / HTTP/1.1\r\n",
  "an upgrade": "GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n",
  "a body that waits": "POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n",
} as const;
const get = (host: string) => `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`;

t.test("an app that does not begin its answer: 504 upstream_timeout", async (t) => {
  const test = await startGateway(t, { headTimeoutSeconds: 1 });
  const host = await addRoute(test, routeTo(newId(), await startApp(t, () => {})));
  const client = await new RawClient(test.port).send(get(host)).until(({ text }) => text.includes("upstream_timeout"));
  t.match(client.text, /^HTTP\/1\.1 504 Gateway Timeout\r\n/);
  client.socket.destroy();
  const upgrade = `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`;
  t.match(
    await new RawClient(test.port).send(upgrade).whole(),
    /^HTTP\/1\.1 504 Gateway Timeout\r\n/,
    "an upgrade too",
  );
  const expecting = `POST / HTTP/1.1\r\nHost: ${host}\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n`;
  t.match(await new RawClient(test.port).send(expecting).whole(), /^HTTP\/1\.1 504 /, "and a body that waits");
});

t.test("an app that stops in the middle of its answer: the answer is cut, visibly", async (t) => {
  const test = await startGateway(t, { bodyIdleSeconds: 1 });
  const app = await startApp(
    t,
    answering(() => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n"),
  );
  const host = await addRoute(test, routeTo(newId(), app));
  const client = await new RawClient(test.port).send(get(host)).until(({ closed, ended }) => closed || ended);
  t.match(client.text, /some\r\n$/, "no clean end");
  client.socket.destroy();
});

t.test("a client that stops in the middle of its body: 408, and the app's connection ends", async (t) => {
  const test = await startGateway(t, { bodyIdleSeconds: 1 });
  const gone = Promise.withResolvers<void>();
  const app = await startApp(t, (socket) => {
    socket.on("data", () => {});
    socket.once("end", () => socket.end());
    socket.once("close", gone.resolve);
  });
  const host = await addRoute(test, routeTo(newId(), app));
  const client = new RawClient(test.port).send(`POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 100\r\n\r\nsome`);
  await client.until(({ text }) => text.includes("\r\n\r\n"));
  t.match(client.text, /^HTTP\/1\.1 408 Request Timeout\r\n/);
  await gone.promise;
  client.socket.destroy();
});

t.test("a client that never ends its head: 408", async (t) => {
  const test = await startGateway(t, { clientHeadSeconds: 1 });
  const text = await new RawClient(test.port).send("GET / HTTP/1.1\r\nHost: a\r\n").whole();
  t.match(text, /^HTTP\/1\.1 408 Request Timeout\r\n/);
  t.match(text, /X-Sandbox-Gateway: bad_request\r\n/);
});

t.test("a socket without data: it ends with 1001", async (t) => {
  const test = await startGateway(t, { socketIdleSeconds: 1 });
  const app = await startApp(
    t,
    answering(() => "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"),
  );
  const host = await addRoute(test, routeTo(newId(), app));
  const upgrade = `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`;
  const client = await new RawClient(test.port).send(upgrade).until(({ ended }) => ended);
  t.strictSame([...client.received.subarray(-4)], [0x88, 0x02, 0x03, 0xe9]);
  client.socket.destroy();
});

t.test("a client that says nothing at all: the connection ends without a word", async (t) => {
  // Traefik opens connections ahead of need, and would take an answer for that to the request it sends next.
  const test = await startGateway(t, { clientHeadSeconds: 1 });
  const client = new RawClient(test.port);
  t.equal(await client.whole(), "");
});

t.test("a client whose head comes byte by byte: 408, however lively it is", async (t) => {
  const test = await startGateway(t, { clientHeadSeconds: 1 });
  const client = new RawClient(test.port).send("GET / HTTP/1.1\r\nX: ");
  const drip = setInterval(() => client.send("x"), 50);
  t.teardown(() => clearInterval(drip));
  await client.until(({ ended, closed }) => ended || closed);
  t.match(client.text, /^HTTP\/1\.1 408 Request Timeout\r\n/);
  client.socket.destroy();
});

t.test("a client that stops reading: its answer is cut, and the app let go", async (t) => {
  const size = 64 << 20;
  for (const [what, lines] of Object.entries(ways)) {
    const closed = Promise.withResolvers<void>();
    const app = answering((_, socket) => {
      socket.once("close", closed.resolve);
      socket.once("end", () => socket.end());
      socket.write(`HTTP/1.1 403 Forbidden\r\nContent-Length: ${size}\r\n\r\n`);
      return Buffer.alloc(size);
    });
    const { port, host } = await startPreview(t, app, { bodyIdleSeconds: 1 });
    const client = new RawClient(port);
    client.socket.pause();
    client.send(`${lines}Host: ${host}\r\n\r\n`);
    await closed.promise;
    client.socket.resume();
    await client.until(({ closed, ended }) => closed || ended);
    t.ok(client.length < size, `${what}: the answer is cut after ${client.length} bytes`);
    client.socket.destroy();
  }
});

t.test("an app that stops in the middle of its answer, whatever it answers: the answer is cut, visibly", async (t) => {
  for (const [what, lines] of Object.entries(ways)) {
    const { port, host } = await startPreview(
      t,
      answering(() => "HTTP/1.1 403 Forbidden\r\nContent-Length: 20\r\n\r\nsome"),
      { bodyIdleSeconds: 1 },
    );
    const client = new RawClient(port).send(`${lines}Host: ${host}\r\n\r\n`);
    await client.until(({ closed, ended }) => closed || ended);
    t.match(client.text, /\r\n\r\nsome$/, what);
    client.socket.destroy();
  }
});

t.test("a client that stops in the middle of a body that it was asked for: 408, and the app is let go", async (t) => {
  const gone = Promise.withResolvers<void>();
  const { port, host } = await startPreview(
    t,
    answering((_, socket) => {
      socket.once("end", () => socket.end());
      socket.once("close", gone.resolve);
      return "HTTP/1.1 100 Continue\r\n\r\n";
    }),
    { bodyIdleSeconds: 1 },
  );
  const client = new RawClient(port).send(`${ways["a body that waits"]}Host: ${host}\r\n\r\n`);
  await client.until(({ text }) => text === "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("bo");
  await client.until(({ text }) => text.endsWith("}"));
  t.match(client.text, /HTTP\/1\.1 408 Request Timeout\r\n/);
  await gone.promise;
  client.socket.destroy();
});

t.test("a client that waits to be asked for its body is not the one that stalls: 504", async (t) => {
  const { port, host } = await startPreview(t, () => {}, { bodyIdleSeconds: 1, headTimeoutSeconds: 2 });
  const client = new RawClient(port).send(`${ways["a body that waits"]}Host: ${host}\r\n\r\n`);
  t.match(await client.whole(), /^HTTP\/1\.1 504 Gateway Timeout\r\n/);
});

t.test("an upload is not cut for being slow, on either side", async (t) => {
  const drips = 15;
  for (const lines of ["Content-Length: 15\r\n", "Expect: 100-continue\r\nContent-Length: 15\r\n"]) {
    let body = "";
    const { port, host } = await startPreview(
      t,
      (socket) => {
        let text = "";
        socket.on("data", (chunk) => {
          text += chunk.toString("latin1");
          body = text.split("\r\n\r\n")[1] ?? "";
          if (body.length === drips) socket.write(ok);
        });
      },
      { headTimeoutSeconds: 1, bodyIdleSeconds: 1, clientHeadSeconds: 1 },
    );
    const client = new RawClient(port).send(`POST / HTTP/1.1\r\nHost: ${host}\r\n${lines}\r\n`);
    const drip = setInterval(() => client.send("x"), 200);
    t.teardown(() => clearInterval(drip));
    await eventually(() => body.length === drips, "all of it has come");
    clearInterval(drip);
    await client.until(({ text }) => text.endsWith("ok"));
    t.match(client.text, /^HTTP\/1\.1 200 OK\r\n/);
    client.socket.destroy();
  }
});

t.test("an app that takes no more of an upload: 504, long before its client would be blamed", async (t) => {
  const { port, host } = await startPreview(t, (socket) => socket.pause(), { headTimeoutSeconds: 1 });
  const client = new RawClient(port).send(`POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: ${64 << 20}\r\n\r\n`);
  client.send(Buffer.alloc(64 << 20));
  await client.until(({ text }) => text.includes("upstream_timeout"));
  t.match(client.text, /^HTTP\/1\.1 504 Gateway Timeout\r\n/);
  client.socket.destroy();
});

t.test("the time in which a request was held is not the app's", async (t) => {
  const app = await startApp(t, (socket) => {
    socket.once("data", () => setTimeout(() => socket.end(ok), 500));
  });
  const test = await startGateway(t, { headTimeoutSeconds: 2 });
  const route = routeTo(newId(), app, { status: "stopped" });
  const host = await addRoute(test, route);
  test.control.wake = async () => {
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    return { outcome: "ready", route: test.control.publish({ ...route, status: "running", run: 2 }) };
  };
  t.match(
    await new RawClient(test.port).send(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`).whole(),
    /^HTTP\/1\.1 200 OK\r\n/,
  );
});
