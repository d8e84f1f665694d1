import t from "tap";
import { hearing } from "./hearing-app.ts";
import { eventually, heldBytes, ok, RawClient, settled, startPreview } from "./test-gateway.ts";

const methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "QUERY", "PURGE"];
const framings = {
  length: ["Content-Length: 4", "body"],
  chunks: ["Transfer-Encoding: chunked", "4\r\nbody\r\n0\r\n\r\n"],
} as const;

t.test("a body goes with every method, in the framing that it came in, and the connection is kept", async (t) => {
  for (const method of methods) {
    for (const [framing, body] of Object.values(framings)) {
      const head = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";
      const { app, heard } = hearing(body, method === "HEAD" ? head : `${head}ok`);
      const { port, host } = await startPreview(t, app);
      const client = new RawClient(port).send(`${method} / HTTP/1.1\r\nHost: ${host}\r\n${framing}\r\n\r\n${body}`);
      await client.until(({ text }) => /\r\n\r\n(ok)?$/.test(text));
      const [lines = "", ...rest] = heard().split("\r\n\r\n");
      t.equal(rest.join("\r\n\r\n"), body, `${method} with ${framing}`);
      t.match(lines.match(/^(content-length|transfer-encoding): .*$/gim), [new RegExp(`^${framing}$`, "i")]);
      t.match(lines, /^connection: keep-alive$/im);
      client.socket.destroy();
    }
  }
});

t.test("a client that ends in the middle of its body ends it at the app, and not as if it were whole", async (t) => {
  const cuts = { length: "Content-Length: 100\r\n\r\ngood", chunks: "Transfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n" };
  for (const [what, framed] of Object.entries(cuts)) {
    for (const how of ["end", "destroy", "resetAndDestroy"] as const) {
      const { app, heard, closed } = hearing("nothing");
      const { port, host } = await startPreview(t, app);
      const client = new RawClient(port).send(`POST / HTTP/1.1\r\nHost: ${host}\r\n${framed}`);
      await eventually(() => heard().includes("good"), "the first part arrives");
      client.socket[how]();
      await closed;
      t.notMatch(heard(), /\r\n0\r\n\r\n/, `${what}, ${how}`);
      client.socket.destroy();
    }
  }
});

t.test("an app that breaks off in the middle of an upload: a whole 502, and no reset", async (t) => {
  for (const how of ["end", "destroy", "resetAndDestroy"] as const) {
    let heard = 0;
    const { port, host } = await startPreview(t, (socket) => {
      socket.on("data", (chunk) => {
        heard += chunk.length;
        if (heard > 1_000_000 && !socket.destroyed) socket[how]();
      });
    });
    const size = 8_000_000;
    const client = new RawClient(port).send(`POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: ${size}\r\n\r\n`);
    client.send(Buffer.alloc(size));
    await client.until(({ ended, closed }) => ended || closed);
    t.match(client.text, /^HTTP\/1\.1 502 Bad Gateway\r\n[\s\S]*X-Sandbox-Gateway: upstream_reset\r\n[\s\S]*}$/, how);
    t.equal(client.error, undefined, "no reset");
    client.socket.destroy();
  }
});

t.test("an app may answer while it reads: bytes go both ways at once", async (t) => {
  let headed = false;
  const { port, host } = await startPreview(t, (socket) => {
    socket.on("data", (chunk: Buffer) => {
      if (headed) return void socket.write(chunk);
      headed = true;
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n");
      socket.write(chunk.subarray(chunk.indexOf("\r\n\r\n") + 4));
    });
  });
  const client = new RawClient(port).send(`POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 60\r\n\r\n`);
  for (let sent = ""; sent.length < 60; ) {
    const next = "0123456789ab";
    client.send(next);
    sent += next;
    await client.until(({ text }) => text.endsWith(`\r\n\r\n${sent}`));
  }
  t.match(client.text, /^HTTP\/1\.1 200 OK\r\n/);
  client.socket.destroy();
});

t.test("an answer after the whole upload leaves the connection open for the next request", async (t) => {
  const { port, host } = await startPreview(t, (socket) => {
    socket.on("data", (chunk) => {
      if (chunk.includes("Expect: 100-continue")) socket.write("HTTP/1.1 100 Continue\r\n\r\n");
      if (chunk.toString().endsWith("body")) socket.write(ok);
    });
  });
  const client = new RawClient(port);
  for (const [index, lines] of ["", "Expect: 100-continue\r\n", "", "Expect: 100-continue\r\n"].entries()) {
    client.send(`POST / HTTP/1.1\r\nHost: ${host}\r\n${lines}Content-Length: 4\r\n\r\n`);
    if (lines !== "") await client.until(({ text }) => text.endsWith("100 Continue\r\n\r\n"));
    client.send("body");
    await client.until(({ text }) => text.match(/200 OK/g)?.length === index + 1 && text.endsWith("ok"));
  }
  t.notMatch(client.text, /connection: close/i);
  client.socket.destroy();
});

t.test("an app that reads no more holds its client back", async (t) => {
  for (const lines of ["", "Expect: 100-continue\r\n"]) {
    const { port, host } = await startPreview(t, (socket) => {
      socket.once("data", () => {
        socket.pause();
        socket.write("HTTP/1.1 100 Continue\r\n\r\n".repeat(lines === "" ? 0 : 1));
      });
    });
    const size = 64 << 20;
    const client = new RawClient(port);
    client.send(`POST / HTTP/1.1\r\nHost: ${host}\r\n${lines}Content-Length: ${size}\r\n\r\n`);
    if (lines !== "") await client.until(({ text }) => text.includes("100 Continue"));
    const before = heldBytes();
    const chunk = Buffer.alloc(1 << 16);
    let written = 0;
    const pump = () => {
      while (written < size && client.socket.write(chunk)) written += chunk.length;
    };
    client.socket.on("drain", pump);
    pump();
    await settled(() => written);
    t.ok(written < size / 2, `the client is held back after ${written >> 20} MiB`);
    await eventually(() => heldBytes() - before < 4 << 20, "memory stays flat");
    client.socket.destroy();
  }
});
