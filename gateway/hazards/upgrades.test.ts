import t, { type Test } from "tap";
import {
  addRoute,
  answering,
  eventually,
  newId,
  RawClient,
  routeTo,
  startApp,
  startGateway,
  type TestGateway,
} from "./test-gateway.ts";

const switched =
  "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n";

function upgrade(host: string, more = ""): string {
  const key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";
  return `GET /socket HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${key}${more}\r\n`;
}

type Opened = { readonly test: TestGateway; readonly host: string; readonly heads: string[] };

async function open(t: Test, answer: Parameters<typeof answering>[0], more = {}): Promise<Opened> {
  const test = await startGateway(t);
  const heads: string[] = [];
  const app = await startApp(
    t,
    answering((head, socket) => {
      heads.push(head);
      return answer(head, socket);
    }),
  );
  return { test, host: await addRoute(test, routeTo(newId(), app, more)), heads };
}

t.test("tunnel() answers 101 with the app's own words, once the app has", async (t) => {
  const { test, host, heads } = await open(
    t,
    () => `${switched}Sec-WebSocket-Protocol: chat\r\nX-a: 1\r\nx-A: 2\r\n\r\n`,
  );
  const offer = "Sec-WebSocket-Protocol: chat, superchat\r\nSec-WebSocket-Extensions: permessage-deflate\r\n";
  const client = new RawClient(test.port).send(upgrade(host, offer));
  await client.until(({ text }) => text.includes("\r\n\r\n"));
  t.match(client.text, /^HTTP\/1\.1 101 Switching Protocols\r\n/);
  t.match(client.text, /Sec-WebSocket-Accept: x\r\nSec-WebSocket-Protocol: chat\r\nX-a: 1\r\nx-A: 2\r\n/);
  t.match(client.text, /Connection: Upgrade\r\nUpgrade: websocket\r\n/);
  t.match(heads[0], offer, "what the client offers reaches the app");
  t.match(heads[0], /^GET \/socket HTTP\/1\.1\r\nHost: localhost:3000\r\n/);
  client.socket.destroy();
});

t.test("tunnel() lets Origin follow Host when it names the same host, and leaves any other alone", async (t) => {
  const { test, host, heads } = await open(t, () => `${switched}\r\n`);
  for (const origin of [`https://${host}`, "https://evil.example"]) {
    const client = new RawClient(test.port).send(upgrade(host, `Origin: ${origin}\r\n`));
    await client.until(({ text }) => text.includes("\r\n\r\n"));
    client.socket.destroy();
  }
  t.match(heads[0], /Origin: http:\/\/localhost:3000\r\n/);
  t.match(heads[1], /Origin: https:\/\/evil\.example\r\n/);
});

t.test("tunnel() keeps Host and Origin when the policy says so", async (t) => {
  const { test, host, heads } = await open(t, () => `${switched}\r\n`, { hostPolicy: "preserve" });
  const client = new RawClient(test.port).send(upgrade(host, `Origin: https://${host}\r\n`));
  await client.until(({ text }) => text.includes("\r\n\r\n"));
  t.match(heads[0], `Host: ${host}\r\n`);
  t.match(heads[0], `Origin: https://${host}\r\n`);
  client.socket.destroy();
});

t.test("tunnel() loses no byte that came with a head, on either side", async (t) => {
  const fromClient = Promise.withResolvers<string>();
  const { test, host } = await open(t, (_, socket) => {
    socket.removeAllListeners("data");
    socket.on("data", (chunk) => fromClient.resolve(chunk.toString("latin1")));
    return `${switched}\r\nearly from the app`;
  });
  const client = new RawClient(test.port).send(`${upgrade(host)}early from the client`);
  await client.until(({ text }) => text.endsWith("early from the app"));
  t.equal(await fromClient.promise, "early from the client");
  client.socket.destroy();
});

t.test("tunnel() passes a refusal on, whatever its framing", async (t) => {
  const refusals = {
    "a length": "HTTP/1.1 403 Forbidden\r\nX-Why: because\r\nContent-Length: 4\r\n\r\nnope",
    chunks: "HTTP/1.1 403 Forbidden\r\nX-Why: because\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nnope\r\n0\r\n\r\n",
    "no body": "HTTP/1.1 401 Unauthorized\r\nX-Why: because\r\nContent-Length: 0\r\n\r\n",
    "a redirect": "HTTP/1.1 302 Found\r\nX-Why: because\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n",
    "a 200": "HTTP/1.1 200 OK\r\nX-Why: because\r\nContent-Length: 4\r\n\r\nnope",
  };
  for (const [what, bytes] of Object.entries(refusals)) {
    const { test, host } = await open(t, () => bytes);
    const text = await new RawClient(test.port).send(upgrade(host)).whole();
    t.equal(text.slice(0, 30), bytes.slice(0, 30), `${what} passes`);
    t.match(text, /X-Why: because\r\n/);
    t.match(text, /Connection: close\r\n/i);
    t.match(text, /X-Robots-Tag: noindex\r\n/);
    if (bytes.includes("nope")) t.match(text, /\r\n\r\n(4\r\n)?nope(\r\n0\r\n\r\n)?$/, `${what}: the body is whole`);
  }
});

t.test("tunnel() answers 502 when the app breaks the upgrade off", async (t) => {
  const ends = { "an end": "end", "a reset": "resetAndDestroy" } as const;
  for (const [what, how] of Object.entries(ends)) {
    const { test, host } = await open(t, (_, socket) => void socket[how]());
    const text = await new RawClient(test.port).send(upgrade(host)).whole();
    t.match(text, /^HTTP\/1\.1 502 Bad Gateway\r\n/, what);
    t.match(text, /X-Sandbox-Gateway: upstream_reset\r\n/, what);
  }
});

t.test("tunnel() ends both sides when either breaks", async (t) => {
  for (const how of ["destroy", "resetAndDestroy"] as const) {
    const closed = Promise.withResolvers<void>();
    const { test, host } = await open(t, (_, socket) => {
      socket.once("close", closed.resolve);
      socket.once("end", () => socket.end());
      return `${switched}\r\n`;
    });
    const client = new RawClient(test.port).send(upgrade(host));
    await client.until(({ text }) => text.includes("\r\n\r\n"));
    client.socket[how]();
    await closed.promise;
    t.pass(`the app hears of the client's ${how}`);
  }
  for (const how of ["end", "destroy", "resetAndDestroy"] as const) {
    const { test, host } = await open(t, (_, socket) => {
      setImmediate(() => socket.write("x", () => socket[how]()));
      return `${switched}\r\n`;
    });
    const client = new RawClient(test.port).send(upgrade(host));
    await client.until(({ closed, ended }) => closed || ended);
    t.pass(`the client hears of the app's ${how}`);
    client.socket.destroy();
  }
});

t.test("tunnel() carries a half-close", async (t) => {
  const { test, host } = await open(t, (_, socket) => {
    socket.once("end", () => socket.end("after the end"));
    return `${switched}\r\n`;
  });
  const client = new RawClient(test.port).send(upgrade(host));
  await client.until(({ text }) => text.includes("\r\n\r\n"));
  client.socket.end();
  await client.until(({ text }) => text.endsWith("after the end"));
  t.pass("what the app says after the client's end arrives");
  await client.whole();
});

t.test("tunnel() ends when the client has, whatever the app makes of it", async (t) => {
  const { test, host } = await open(t, () => `${switched}\r\n`);
  const client = new RawClient(test.port).send(upgrade(host));
  await client.until(({ text }) => text.includes("\r\n\r\n"));
  client.socket.end();
  await client.whole();
  await eventually(() => test.control.reports.at(-1)?.sandboxes[0]?.openSockets === 0, "nothing is counted as open");
});

t.test("tunnel() carries large messages whole", async (t) => {
  const size = 8 << 20;
  const { test, host } = await open(t, (_, socket) => {
    socket.removeAllListeners("data");
    socket.pipe(socket);
    return `${switched}\r\n`;
  });
  const client = new RawClient(test.port).send(upgrade(host));
  await client.until(({ text }) => text.includes("\r\n\r\n"));
  const head = client.length;
  const payload = Buffer.alloc(size, "0123456789");
  client.send(payload);
  await client.until(({ length }) => length === head + size);
  t.ok(client.received.subarray(head).equals(payload));
  client.socket.destroy();
});

t.test("tunnel() tells a client 1001 when its sandbox goes to sleep", async (t) => {
  const test = await startGateway(t);
  const app = await startApp(
    t,
    answering((_, socket) => {
      test.control.publish({ ...route, status: "draining" });
      void test.gateway.table.once("route", () => socket.end());
      return `${switched}\r\n`;
    }),
  );
  const route = routeTo(newId(), app);
  const host = await addRoute(test, route);
  const client = new RawClient(test.port).send(upgrade(host));
  await client.until(({ ended }) => ended);
  t.strictSame([...client.received.subarray(-4)], [0x88, 0x02, 0x03, 0xe9]);
  client.socket.destroy();
});

t.test("the gateway takes no other upgrade than to WebSocket", async (t) => {
  const { test, host, heads } = await open(t, () => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  const tokens = ["h2c", "TLS/1.0", "websocket2", "websocket, h2c"];
  for (const token of tokens) {
    const head = `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: ${token}\r\n\r\n`;
    const client = await new RawClient(test.port).send(head).until(({ text }) => text.endsWith("ok"));
    t.match(client.text, /^HTTP\/1\.1 200 OK\r\n/, `${token} is a plain request`);
    t.match(client.text, /Connection: close\r\n/, "what comes behind it would be lost");
    client.socket.destroy();
  }
  t.notMatch(heads.join(), /upgrade/i);
});
