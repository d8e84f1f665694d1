import type { Socket } from "node:net";
import t from "tap";
import { RawClient, startPreview } from "./test-gateway.ts";

const early = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig";
const size = 8_000_000;

/** Uploads of so many bytes: what frames them, and the body of such parts. */
const framings = {
  "a length": (part: string) => [`Content-Length: ${size}\r\n`, part.repeat(size / part.length)],
  chunks: (part: string) => [
    "Transfer-Encoding: chunked\r\n",
    `${part.length.toString(16)}\r\n${part}\r\n`.repeat(size / part.length),
  ],
  "an expectation": (part: string) => [
    `Expect: 100-continue\r\nContent-Length: ${size}\r\n`,
    part.repeat(size / part.length),
  ],
} as const;

for (const [what, framed] of Object.entries(framings)) {
  t.test(`an answer during an upload with ${what} is heard, and what is left of the body is no request`, async (t) => {
    for (const ending of ["stays", "ends", "resets"] as const) {
      const requests: string[] = [];
      const sockets: Socket[] = [];
      const { port, host } = await startPreview(t, (socket) => {
        socket.once("data", (chunk) => {
          requests.push(chunk.toString("latin1").split("\r\n")[0]!);
          sockets.push(socket);
          socket.write(early, () => ending === "ends" && socket.end());
        });
      });
      const part = `GET /smuggled HTTP/1.1\r\nHost: ${host}\r\n\r\n`.padEnd(1000, "\r\n");
      const [lines, body] = framed(part) as [string, string];
      const client = new RawClient(port).send(`POST / HTTP/1.1\r\nHost: ${host}\r\n${lines}\r\n`);
      client.send(body.slice(0, size / 2));
      await client.until(({ text, closed }) => closed || text.endsWith("big"));
      if (ending === "resets") sockets[0]!.resetAndDestroy();
      t.match(
        client.text,
        /^HTTP\/1\.1 413 Content Too Large\r\n[\s\S]*\r\nConnection: close\r\n/i,
        `the app ${ending}`,
      );
      client.send(body.slice(size / 2));
      await client.until(({ ended, closed }) => ended || closed);
      t.equal(client.error, undefined, "no reset");
      t.strictSame(requests, ["POST / HTTP/1.1"]);
      client.socket.destroy();
    }
  });

  t.test(`an app that answers an upload with ${what} and closes, without having read it, is heard`, async (t) => {
    for (let round = 0; round < 20; round++) {
      const { port, host } = await startPreview(t, (socket) => {
        socket.once("data", () => {
          socket.pause();
          // What it has not read makes the system reset the connection.
          socket.write(early, () => socket.destroy());
        });
      });
      const [lines, body] = framed("x".repeat(1000)) as [string, string];
      const client = new RawClient(port).send(`POST / HTTP/1.1\r\nHost: ${host}\r\n${lines}\r\n`).send(body);
      await client.until(({ text, closed, ended }) => closed || ended || /(big|})$/.test(text));
      if (!t.match(client.text, /^HTTP\/1\.1 413 Content Too Large\r\n[\s\S]*big$/)) break;
      client.socket.destroy();
    }
  });

  t.test(`an app that closes in the middle of its answer to an upload with ${what} ends it visibly`, async (t) => {
    for (const head of ["", "Content-Length: 100\r\n", "Transfer-Encoding: chunked\r\n"]) {
      const { port, host } = await startPreview(t, (socket) => {
        socket.once("data", () => {
          socket.pause();
          socket.write(`HTTP/1.1 413 Content Too Large\r\n${head}\r\n`, () => socket.destroy());
        });
      });
      const [lines, body] = framed("x".repeat(1000)) as [string, string];
      const client = new RawClient(port).send(`POST / HTTP/1.1\r\nHost: ${host}\r\n${lines}\r\n`).send(body);
      await client.until(({ closed, ended }) => closed || ended);
      const isWhole = client.error === undefined && /0\r\n\r\n$|"code":"upstream_reset".*}$/.test(client.text);
      if (/^HTTP\/1\.1 413/.test(client.text)) t.notOk(isWhole, `${head}: no clean end`);
      else t.ok(isWhole, "or a refusal");
      client.socket.destroy();
    }
  });
}
