import type { Socket } from "node:net";
import t from "tap";
import { eventually, ok, RawClient, settled, startPreview } from "./test-gateway.ts";

/** An app that keeps what it hears, and answers once that ends so. */
function hearing(
  end: string,
  answer = ok,
): { app: (socket: Socket) => void; heard: () => string; closed: Promise<void> } {
  let text = "";
  const closed = Promise.withResolvers<void>();
  const app = (socket: Socket) => {
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
      // Only connections with a request matter: others are looks at whether the port answers.
      socket.once("close", closed.resolve);
      if (text.endsWith(end)) socket.write(answer);
    });
    socket.once("end", () => socket.end());
  };
  return { app, heard: () => text, closed: closed.promise };
}

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

/** The content of whole chunks. */
function dechunked(text: string): string {
  let content = "";
  for (let rest = text; ; ) {
    const line = rest.indexOf("\r\n");
    const size = Number.parseInt(rest.slice(0, line), 16);
    if (size === 0) return content;
    content += rest.slice(line + 2, line + 2 + size);
    rest = rest.slice(line + 2 + size + 2);
  }
}

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

/** Answers that come before the upload is read, and the connection's end. */
const early = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig";

t.test("an answer that comes during the upload is heard, and what is left of the body is no request", async (t) => {
  const bodies = {
    length: (part: string) => ["Content-Length: 8000000", part.repeat(8_000_000 / part.length)],
    chunks: (part: string) => [
      "Transfer-Encoding: chunked",
      `${part.length.toString(16)}\r\n${part}\r\n`.repeat(8_000_000 / part.length),
    ],
  } as const;
  for (const [what, framed] of Object.entries(bodies)) {
    for (const ending of ["stays", "ends", "resets"] as const) {
      const requests: string[] = [];
      const { port, host } = await startPreview(t, (socket) => {
        socket.once("data", (chunk) => {
          requests.push(chunk.toString("latin1").split("\r\n")[0]!);
          socket.write(early, () => {
            if (ending === "ends") socket.end();
            if (ending === "resets") setTimeout(() => socket.resetAndDestroy(), 20);
          });
        });
      });
      const part = `GET /smuggled HTTP/1.1\r\nHost: ${host}\r\n\r\n`.padEnd(1000, "\r\n");
      const [header, body] = framed(part) as [string, string];
      const client = new RawClient(port).send(`POST / HTTP/1.1\r\nHost: ${host}\r\n${header}\r\n\r\n`);
      client.send(body.slice(0, 4_000_000));
      await client.until(({ text, closed }) => closed || text.endsWith("big"));
      t.match(client.text, /^HTTP\/1\.1 413 Content Too Large\r\n/, `${what}, the app ${ending}`);
      t.match(client.text, /\r\nConnection: close\r\n/);
      client.send(body.slice(4_000_000));
      await client.until(({ ended, closed }) => ended || closed);
      t.equal(client.error, undefined, "no reset");
      t.strictSame(requests, ["POST / HTTP/1.1"]);
      client.socket.destroy();
    }
  }
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
    const before = process.memoryUsage().arrayBuffers;
    const chunk = Buffer.alloc(1 << 16);
    let written = 0;
    const pump = () => {
      while (written < size && client.socket.write(chunk)) written += chunk.length;
    };
    client.socket.on("drain", pump);
    pump();
    await settled(() => written);
    t.ok(written < size / 2, `the client is held back after ${written >> 20} MiB`);
    t.ok(process.memoryUsage().arrayBuffers - before < 8 << 20, "the gateway holds next to nothing");
    client.socket.destroy();
  }
});
