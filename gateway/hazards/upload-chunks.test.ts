import t from "tap";
import { hearing } from "./hearing-app.ts";
import { dechunked, eventually, RawClient, startPreview } from "./test-gateway.ts";

t.test("a body arrives byte for byte, however it is cut into chunks", async (t) => {
  const parts = ["a", "0\r\n\r\n", "x".repeat(70_000), "GET / HTTP/1.1\r\nHost: evil\r\n\r\n", "\0\xff"];
  const { app, heard } = hearing("\r\n0\r\n\r\n");
  const { port, host } = await startPreview(t, app);
  const client = new RawClient(port).send(`POST / HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\n\r\n`);
  for (const part of parts) client.send(`${part.length.toString(16)};ext="a b"\r\n${part}\r\n`);
  client.send("0\r\n\r\n");
  await client.until(({ text }) => text.endsWith("ok"));
  t.equal(dechunked(heard().slice(heard().indexOf("\r\n\r\n") + 4)), parts.join(""));
  t.notMatch(heard(), "ext=", "chunk extensions are the connection's own");
  client.socket.destroy();
});

/** What may stand in place of a chunk, after a sound one. */
const badChunks: Readonly<Record<string, string>> = {
  "a size of letters": "zz\r\n",
  "a hexadecimal prefix": "0x4\r\nbody\r\n",
  "a sign": "+4\r\nbody\r\n",
  "a negative size": "-4\r\nbody\r\n",
  "a blank before the size": " 4\r\nbody\r\n",
  "a blank after the size": "4 \r\nbody\r\n",
  "an underscore in the size": "4_0\r\nbody\r\n",
  "a size beyond 64 bits": "fffffffffffffffff\r\nbody\r\n",
  "no size": "\r\nbody\r\n",
  "an extension without a size": ";a\r\nbody\r\n",
  "a bare line feed after the size": "4\nbody\r\n",
  "a bare line feed in an extension": "4;a\nb\r\nbody\r\n",
  "a bare carriage return in an extension": "4;a\rb\r\nbody\r\n",
  "a NUL in an extension": "4;\0\r\nbody\r\n",
  "endless extensions": `4;${"x".repeat(100_000)}`,
  "a bare line feed after the data": "4\r\nbody\n0\r\n\r\n",
  "nothing after the data": "4\r\nbody0\r\n\r\n",
  "data beyond the size": "4\r\nbodyx\r\n0\r\n\r\n",
  "a bare line feed at the end": "0\r\n\n",
  "a trailer without a name": "0\r\n: a\r\n\r\n",
  "a blank in a trailer's name": "0\r\nX Y: 1\r\n\r\n",
  "a length in the trailers": "0\r\nContent-Length: 4\r\n\r\n",
};

t.test("a body whose chunks are broken never ends at the app, and what follows is no request", async (t) => {
  for (const [what, bytes] of Object.entries(badChunks)) {
    const { app, heard, closed } = hearing("nothing");
    const { port, host } = await startPreview(t, app);
    const client = new RawClient(port);
    client.send(`POST / HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n`);
    await eventually(() => heard().endsWith("good"), "the sound part arrives");
    client.send(`${bytes}GET /smuggled HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    await client.until(({ ended, closed }) => ended || closed);
    client.socket.end();
    await closed;
    t.match(client.text, /^HTTP\/1\.1 4(00|13) /, what);
    t.equal(client.text.match(/HTTP\/1\.1/g)?.length, 1);
    t.notMatch(heard(), /\r\n0\r\n\r\n|smuggled/, what);
    client.socket.destroy();
  }
});

t.test(
  "broken chunks behind an upgrade that is not one, where Node tells of no error, end with the time for a body",
  async (t) => {
    const { app, heard, closed } = hearing("nothing");
    const { port, host } = await startPreview(t, app, { bodyIdleSeconds: 1 });
    const client = new RawClient(port);
    const upgrade = "Connection: Upgrade\r\nUpgrade: h2c\r\n";
    client.send(`POST / HTTP/1.1\r\nHost: ${host}\r\n${upgrade}Transfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n`);
    client.send(`zz\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    await client.until(({ ended, closed }) => ended || closed);
    client.socket.end();
    await closed;
    t.match(client.text, /^HTTP\/1\.1 408 /);
    t.notMatch(heard(), /\r\n0\r\n\r\n|smuggled/);
  },
);
