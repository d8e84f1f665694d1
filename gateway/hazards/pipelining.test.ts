import { once } from "node:events";
import t from "tap";
import { addRoute, answering, eventually, newId, RawClient, routeTo, startApp, startGateway } from "./test-gateway.ts";

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
  await eventually(() => seen.length === 3, "all reach the app");
  t.equal(client.text, "");
  release();
  await client.until(({ text }) => text.endsWith("/3"));
  t.strictSame(
    client.text.match(/\r\n\r\n\/(slow|[23])/g)?.map((each) => each.trim()),
    ["/slow", "/2", "/3"],
  );
  client.socket.destroy();
});

t.test("a client that leaves takes all of its requests with it", async (t) => {
  const { test, host, seen } = await open(t);
  const client = new RawClient(test.port).send(get("/slow", host) + get("/slow", host) + get("/slow", host));
  await eventually(() => seen.length === 3, "all reach the app");
  const openNow = () => test.control.reports.at(-1)?.sandboxes[0]?.openRequests;
  await eventually(() => openNow() === 3, "all are open");
  client.socket.destroy();
  await eventually(() => openNow() === 0, "none is open");
  t.pass();
});

t.test("an upgrade behind a request that waits is a plain request", async (t) => {
  const { test, host, release } = await open(t);
  const client = new RawClient(test.port).send(get("/slow", host) + upgrade(host));
  await eventually(() => test.control.reports.at(-1)?.sandboxes[0]?.requests === 2, "both came");
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

t.test("what cannot be parsed behind a request that waits does not harm its answer", async (t) => {
  const { test, host, seen, release } = await open(t);
  const client = new RawClient(test.port).send(get("/slow", host));
  await eventually(() => seen.length === 1, "it reached the app");
  client.send("\x16\x03\x01 garbage\r\n\r\n");
  const closed = once(client.socket, "close");
  release();
  await client.until(({ ended, closed }) => ended || closed);
  client.socket.destroy();
  await closed;
  t.ok(["", "HTTP/1.1 4", "HTTP/1.1 2"].includes(client.text.slice(0, 10)), client.text);
  t.notMatch(client.text, /200 OK[\s\S]*400 Bad[\s\S]*\/slow/, "answers are not mixed up");
});
