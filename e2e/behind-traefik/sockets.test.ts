import { once } from "node:events";
import type { Socket } from "node:net";
import t, { type Test } from "tap";
import { answering, eventually, heldBytes, RawClient, settled } from "../../gateway/hazards/test-gateway.ts";
import { missingPart } from "../parts/parts.ts";
import { startEdge } from "./edge.ts";

/** Upgrades, with Traefik before the gateway. */

const skip = missingPart("traefik");
const edge = skip ? undefined : await startEdge(t);

const switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n";
const upgrade = (host: string, more = "") =>
  `GET /s HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n${more}\r\n`;

type Ends = { readonly client: RawClient; readonly app: Socket };

async function open(more = "", said = ""): Promise<Ends & { readonly head: string }> {
  const opened = Promise.withResolvers<[string, Socket]>();
  const host = await edge!.addApp(
    answering((head, socket) => {
      socket.removeAllListeners("data");
      socket.pause();
      opened.resolve([head, socket]);
      return `${switching}${said}\r\n`;
    }),
  );
  const client = new RawClient(edge!.traefik.web).send(upgrade(host, more));
  await client.until(({ text }) => text.includes("\r\n\r\n"));
  const [head, app] = await opened.promise;
  return { client, app, head };
}

t.test("behind Traefik, a WebSocket opens with both sides' words, and carries both ways", { skip }, async (t) => {
  const offer = "Sec-WebSocket-Protocol: chat, superchat\r\nSec-WebSocket-Extensions: permessage-deflate; x=1\r\n";
  const { client, app, head } = await open(offer, "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Accept: x\r\n");
  t.match(head, "Sec-WebSocket-Protocol: chat, superchat\r\n");
  t.match(head, "Sec-WebSocket-Extensions: permessage-deflate; x=1\r\n");
  t.match(client.text, /^HTTP\/1\.1 101 Switching Protocols\r\n/);
  t.match(client.text, /Sec-Websocket-Accept: x\r\n[\s\S]*Sec-Websocket-Protocol: chat\r\n/i);
  app.pipe(app);
  const before = client.length;
  const frames = Buffer.alloc(16 << 20, "0123456789abcdef");
  client.socket.write(frames);
  await client.until(({ length }) => length === before + frames.length);
  t.ok(client.received.subarray(before).equals(frames), "megabytes arrive whole");
  client.socket.destroy();
});

t.test("behind Traefik, no byte is lost that came with the app's head", { skip }, async (t) => {
  const host = await edge!.addApp(answering(() => `${switching}\r\nearly from the app`));
  const client = new RawClient(edge!.traefik.web).send(upgrade(host));
  await client.until(({ text }) => text.endsWith("early from the app"));
  t.match(client.text, /^HTTP\/1\.1 101 /);
  client.socket.destroy();
});

t.test("behind Traefik, what a client says before its 101 is lost, in Traefik", { skip }, async (t) => {
  const heard = Promise.withResolvers<string>();
  const host = await edge!.addApp(
    answering((_, socket) => {
      socket.removeAllListeners("data");
      socket.on("data", (chunk) => heard.resolve(chunk.toString()));
      return `${switching}\r\n`;
    }),
  );
  const client = new RawClient(edge!.traefik.web).send(`${upgrade(host)}early`);
  await client.until(({ text }) => text.includes("\r\n\r\n"));
  client.send("late");
  t.equal(await heard.promise, "late");
  client.socket.destroy();
});

t.test("behind Traefik, whoever does not read holds the other side back", { skip }, async (t) => {
  const size = 64 << 20;
  for (const who of ["client", "app"] as const) {
    const { client, app } = await open();
    const [stalled, sender] = who === "client" ? [client.socket, app] : [app, client.socket];
    stalled.pause();
    const before = heldBytes();
    let written = 0;
    const pump = () => {
      while (written < size) {
        written += 1 << 16;
        if (!sender.write(Buffer.alloc(1 << 16))) return;
      }
    };
    sender.on("drain", pump);
    pump();
    await settled(() => written);
    t.ok(written < size, `the ${who} holds the other side back after ${written >> 20} MiB`);
    await eventually(() => heldBytes() - before < 4 << 20, "memory stays flat");
    let read = 0;
    stalled.on("data", (more) => {
      read += more.length;
    });
    stalled.resume();
    await eventually(() => read === size, "the rest comes");
    stalled.destroy();
  }
});

t.test("behind Traefik, an end or a break of either side ends both", { skip }, async (t) => {
  for (const who of ["client", "app"] as const) {
    for (const how of ["end", "destroy", "resetAndDestroy"] as const) {
      const { client, app } = await open();
      const [breaker, other] = who === "client" ? [client.socket, app] : [app, client.socket];
      app.resume();
      const ended = once(other, "end");
      breaker[how]();
      await Promise.race([ended, once(other, "close")]).catch(() => {});
      t.pass(`the ${who}'s ${how}`);
      for (const socket of [client.socket, app]) socket.destroy();
    }
  }
});

t.test("behind Traefik, a refusal passes, whatever its framing and however large", { skip }, async (t) => {
  const body = "x".repeat(4 << 20);
  const refusals = {
    "a length": `Content-Length: ${body.length}\r\n\r\n${body}`,
    chunks: `Transfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`,
    "the end of the connection": `Connection: close\r\n\r\n${body}`,
    "no body": "Content-Length: 0\r\n\r\n",
  };
  for (const [what, bytes] of Object.entries(refusals)) {
    const host = await edge!.addApp(
      answering((_, socket) => {
        socket.end(`HTTP/1.1 403 Forbidden\r\nX-Why: because\r\n${bytes}`);
        return undefined;
      }),
    );
    const client = new RawClient(edge!.traefik.web).send(upgrade(host, "X-Last: 1\r\n"));
    const expected = what === "no body" ? 0 : body.length;
    await client.until(({ text, length }) => text.startsWith("HTTP/1.1 403 ") && length > expected && isWhole(text));
    t.match(client.text.slice(0, 300), /X-Why: because\r\n/, what);
    t.equal(client.text.slice(client.text.indexOf("\r\n\r\n")).match(/x/g)?.length ?? 0, expected);
    client.socket.destroy();
  }
});

function isWhole(text: string): boolean {
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return false;
  const length = /content-length: (\d+)/i.exec(text.slice(0, end))?.[1];
  return length === undefined ? text.endsWith("\r\n0\r\n\r\n") : text.length >= end + 4 + Number(length);
}

t.test(
  "behind Traefik, a client that leaves before its upgrade is answered ends it at the app",
  { skip },
  async (t) => {
    await leave(t, "destroy");
    await leave(t, "resetAndDestroy");
  },
);

async function leave(t: Test, how: "destroy" | "resetAndDestroy"): Promise<void> {
  const reached = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<void>();
  const host = await edge!.addApp(
    answering((_, socket) => {
      socket.once("end", () => socket.end());
      socket.once("close", closed.resolve);
      return void reached.resolve();
    }),
  );
  const client = new RawClient(edge!.traefik.web).send(upgrade(host));
  await reached.promise;
  client.socket[how]();
  await closed.promise;
  t.pass(how);
}
