import t from "tap";
import { addRoute, newId, RawClient, routeTo, startApp, startGateway } from "./test-gateway.ts";

const head = (host: string, framing: string) =>
  `POST /upload HTTP/1.1\r\nHost: ${host}\r\nExpect: 100-continue\r\n${framing}\r\n\r\n`;
const finalOk = "HTTP/1.1 201 Created\r\nContent-Length: 4\r\n\r\ndone";

t.test("expectContinue() lets the app decide", async (t) => {
  const framings = {
    "a length": ["Content-Length: 4", "body"],
    chunks: ["Transfer-Encoding: chunked", "4\r\nbody\r\n0\r\n\r\n"],
  };
  for (const [what, [framing, body]] of Object.entries(framings)) {
    const test = await startGateway(t);
    let seen = "";
    const app = await startApp(t, (socket) => {
      socket.on("data", (chunk) => {
        const hadHead = seen.includes("\r\n\r\n");
        seen += chunk.toString("latin1");
        if (!hadHead && seen.includes("\r\n\r\n")) socket.write("HTTP/1.1 100 Continue\r\n\r\n");
        if (seen.endsWith(body!)) socket.end(finalOk);
      });
    });
    const host = await addRoute(test, routeTo(newId(), app));
    const client = new RawClient(test.port).send(head(host, framing!));
    await client.until(({ text }) => text.endsWith("\r\n\r\n"));
    t.equal(client.text, "HTTP/1.1 100 Continue\r\n\r\n", `${what}: the app's 100 arrives`);
    t.match(seen, /Expect: 100-continue\r\n/i, "the app was asked");
    t.notMatch(seen, /body/, "and nothing was sent before it agreed");
    client.send(body!);
    await client.until(({ text }) => text.endsWith("done"));
    t.match(client.text, /HTTP\/1\.1 201 Created\r\n[\s\S]*done$/, what);
    client.socket.destroy();
    t.ok(seen.endsWith(body!), "the body is whole");
  }
});

t.test("expectContinue() passes a refusal on, which comes without the body having been read", async (t) => {
  for (const status of ["417 Expectation Failed", "413 Content Too Large", "401 Unauthorized"]) {
    const test = await startGateway(t);
    const app = await startApp(t, (socket) => {
      socket.once("data", () => socket.end(`HTTP/1.1 ${status}\r\nContent-Length: 2\r\n\r\nno`));
    });
    const host = await addRoute(test, routeTo(newId(), app));
    const client = new RawClient(test.port).send(head(host, "Content-Length: 1000"));
    const text = await client.whole();
    t.equal(text.slice(0, 9 + status.length), `HTTP/1.1 ${status}`);
    t.match(text, /Connection: close\r\n/i, "the connection ends: what follows is not taken for a request");
    t.notMatch(text, /100 Continue/);
  }
});

t.test("expectContinue() passes a body on that nobody asked for", async (t) => {
  const test = await startGateway(t);
  let seen = "";
  const app = await startApp(t, (socket) => {
    socket.on("data", (chunk) => {
      seen += chunk.toString("latin1");
      if (seen.endsWith("body")) socket.end(finalOk);
    });
  });
  const host = await addRoute(test, routeTo(newId(), app));
  const client = new RawClient(test.port).send(`${head(host, "Content-Length: 4")}body`);
  await client.until(({ text }) => text.endsWith("done"));
  t.match(client.text, /^HTTP\/1\.1 201 Created\r\n/);
  client.socket.destroy();
});

t.test("expectContinue() answers 502 when the app breaks off", async (t) => {
  for (const bytes of [
    "",
    "HTTP/1.1 099 Odd\r\n\r\n",
    "nonsense\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
  ]) {
    const test = await startGateway(t);
    const app = await startApp(t, (socket) => {
      socket.once("data", () => socket.end(bytes));
    });
    const host = await addRoute(test, routeTo(newId(), app));
    const text = await new RawClient(test.port).send(head(host, "Content-Length: 4")).whole();
    t.match(text, /^HTTP\/1\.1 502 Bad Gateway\r\n/, JSON.stringify(bytes));
  }
});
