import t from "tap";
import {
  addRoute,
  answering,
  eventually,
  newId,
  RawClient,
  routeTo,
  settled,
  startApp,
  startGateway,
  startPreview,
} from "./test-gateway.ts";

const get = (path: string, host: string) => `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
const upgrade = (host: string) =>
  `GET /socket HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n`;

/** An app that answers with the path, `/slow` only when `release` is called. */
async function open(t: Parameters<typeof startGateway>[0]) {
  const test = await startGateway(t);
  const seen: string[] = [];
  const slow: (() => void)[] = [];
  const app = await startApp(
    t,
    answering((head, socket) => {
      const path = head.split(" ")[1]!;
      seen.push(path);
      const answer = `HTTP/1.1 200 OK\r\nContent-Length: ${path.length}\r\n\r\n${path}`;
      socket.once("end", () => socket.end());
      if (path !== "/slow") return answer;
      slow.push(() => socket.write(answer));
      return undefined;
    }),
  );
  const release = () => slow.splice(0).forEach((answer) => void answer());
  return { test, host: await addRoute(test, routeTo(newId(), app)), seen, release };
}

t.test("answers come in the order of their requests", async (t) => {
  const { test, host, seen, release } = await open(t);
  const client = new RawClient(test.port).send(get("/slow", host) + get("/2", host) + get("/3", host));
  await eventually(() => seen.length === 1, "the first reaches the app");
  t.equal(client.text, "");
  release();
  await client.until(({ text }) => text.endsWith("/3"));
  t.strictSame(
    client.text.match(/\r\n\r\n\/(slow|[23])/g)?.map((each) => each.trim()),
    ["/slow", "/2", "/3"],
  );
  client.socket.destroy();
});

t.test("a request reaches its app once those before it are answered, whichever sandbox they are for", async (t) => {
  const one = await open(t);
  const other = await startApp(
    t,
    answering((head) => {
      one.seen.push(`other ${head.split(" ")[1]}`);
      return "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    }),
  );
  const otherHost = await addRoute(one.test, routeTo(newId(), other));
  const post = `POST /slow HTTP/1.1\r\nHost: ${one.host}\r\nContent-Length: 4\r\n\r\nbody`;
  const client = new RawClient(one.test.port).send(post + get("/2", otherHost) + get("/3", one.host));
  await eventually(() => one.seen.length > 0, "it reached the app");
  // What comes on another connection meanwhile shows that there was time for more.
  const second = await new RawClient(one.test.port).send(get("/4", one.host)).until(({ text }) => text.endsWith("/4"));
  t.strictSame(one.seen, ["/slow", "/4"], "nothing overtakes what may have an effect");
  one.release();
  await client.until(({ text }) => text.endsWith("/3"));
  t.strictSame(one.seen, ["/slow", "/4", "other /2", "/3"]);
  for (const each of [client, second]) each.socket.destroy();
});

t.test("a body that waits for its turn stays in the client's socket, and arrives whole", async (t) => {
  const size = 8 << 20;
  let received = 0;
  const slow: (() => void)[] = [];
  const { port, host } = await startPreview(t, (socket) => {
    socket.on("data", (chunk: Buffer) => {
      const answer = () => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
      if (chunk.includes("GET /slow")) slow.push(answer);
      else received += chunk.length;
      if (received >= size) answer();
    });
  });
  const client = new RawClient(port).send(get("/slow", host));
  await eventually(() => slow.length === 1, "it reached the app");
  client.send(`POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: ${size}\r\n\r\n`);
  client.socket.write(Buffer.alloc(size));
  await settled(() => client.socket.bytesWritten - client.socket.writableLength);
  t.ok(client.socket.writableLength > 0, "the client is held back");
  slow[0]!();
  await client.until(({ text }) => text.match(/200 OK/g)?.length === 2);
  t.ok(received >= size);
  client.socket.destroy();
});

t.test("any number of requests may be sent ahead, and each is answered", async (t) => {
  const { test, host, seen, release } = await open(t);
  const count = 600;
  const padded = get("/x", host).replace("Host", `X-Padding: ${"x".repeat(20_000)}\r\nHost`);
  const client = new RawClient(test.port).send(get("/slow", host));
  client.send(padded.repeat(count));
  await eventually(() => seen.length === 1, "the first reaches the app");
  await settled(() => client.socket.bytesWritten - client.socket.writableLength);
  t.ok(client.socket.writableLength > 0, "they are read as they are answered");
  release();
  await client.until(({ text, length }) => length > count * 100 && text.match(/200 OK/g)?.length === count + 1);
  t.equal(seen.length, count + 1);
  client.socket.destroy();
});

t.test("a client that leaves takes all of its requests with it", async (t) => {
  const { test, host, seen } = await open(t);
  const client = new RawClient(test.port).send(get("/slow", host) + get("/slow", host) + get("/slow", host));
  const openNow = () => test.control.reports.at(-1)?.sandboxes[0]?.openRequests;
  await eventually(() => openNow() === 1, "the first is open");
  client.socket.destroy();
  await eventually(() => openNow() === 0, "none is open");
  t.strictSame(seen, ["/slow"]);
});

t.test("an upgrade behind a request that waits is a plain request", async (t) => {
  const { test, host, seen, release } = await open(t);
  const client = new RawClient(test.port).send(get("/slow", host) + upgrade(host));
  await eventually(() => seen.length === 1, "the first reaches the app");
  release();
  await client.until(({ text }) => text.endsWith("/socket"));
  t.notMatch(client.text, /^HTTP\/1\.1 101 /m);
  client.socket.destroy();
});

t.test("an upgrade behind a request that was answered is an upgrade", async (t) => {
  const { test, host, seen } = await open(t);
  const client = new RawClient(test.port).send(get("/1", host));
  await client.until(({ text }) => text.endsWith("/1"));
  client.send(upgrade(host));
  await client.until(({ text }) => text.endsWith("/socket"));
  t.strictSame(seen, ["/1", "/socket"]);
  await client.whole();
});

t.test("CONNECT behind a request that waits ends the connection", async (t) => {
  const { test, host } = await open(t);
  const client = new RawClient(test.port).send(
    `${get("/slow", host)}CONNECT ${host}:443 HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
  );
  await client.until(({ ended, closed }) => ended || closed);
  t.equal(client.text, "");
  client.socket.destroy();
  const other = await new RawClient(test.port).send(get("/1", host)).until(({ text }) => text.endsWith("/1"));
  t.match(other.text, /^HTTP\/1\.1 200 OK\r\n/, "and nobody else's");
  other.socket.destroy();
});

t.test("what cannot be parsed behind a request that waits does not cost it its answer", async (t) => {
  const { test, host, seen, release } = await open(t);
  const behind = {
    TLS: "\x16\x03\x01 garbage\r\n\r\n",
    "half a head": "GET / HTTP/1.1\r\nHo st: a\r\n",
    "another version": "GET / HTTP/9.9\r\n\r\n",
  };
  for (const [what, bytes] of Object.entries(behind)) {
    const before = seen.length;
    const client = new RawClient(test.port).send(get("/slow", host));
    await eventually(() => seen.length === before + 1, "it reached the app");
    client.send(bytes);
    const other = await new RawClient(test.port).send(get("/1", host)).until(({ text }) => text.endsWith("/1"));
    release();
    const text = await client.whole();
    t.match(text, /^HTTP\/1\.1 200 OK\r\n[\s\S]*Connection: close\r\n[\s\S]*\/slow$/i, what);
    other.socket.destroy();
  }
});

t.test("nothing is taken from a connection behind the last answer that it was told of", async (t) => {
  const { test, host, seen } = await open(t);
  const smuggled = get("/smuggled", host);
  const last = {
    "a refused framing": `POST /1 HTTP/1.1\r\nHost: ${host}\r\nContent_Length: 4\r\n\r\n`,
    "both framings": `POST /1 HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    "a refused target": `GET /1#a HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
    "two hosts": `GET /1 HTTP/1.1\r\nHost: ${host}\r\nHost: ${host}\r\n\r\n`,
    "another host": "POST /1 HTTP/1.1\r\nHost: elsewhere.example\r\nContent-Length: 4\r\n\r\nbody",
    TRACE: `TRACE /1 HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
    CONNECT: `CONNECT ${host}:1 HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
    "the client's own word": `GET /1 HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
    "HTTP/1.0": `GET /1 HTTP/1.0\r\nHost: ${host}\r\n\r\n`,
  };
  for (const [what, bytes] of Object.entries(last)) {
    for (const behind of [smuggled, upgrade(host), `${smuggled}garbage`]) {
      for (const atOnce of [true, false]) {
        const client = new RawClient(test.port).send(atOnce ? bytes + behind : bytes);
        if (!atOnce) {
          await client.until(({ text }) => text.includes("\r\n\r\n"));
          client.send(behind);
        }
        const text = await client.whole();
        t.equal(text.match(/^HTTP\/1\.1 /gm)?.length, 1, what);
        t.match(text, /connection: close/i);
        t.equal(client.error, undefined, "no reset");
      }
    }
  }
  t.strictSame(new Set(seen), new Set(["/1"]));
});
