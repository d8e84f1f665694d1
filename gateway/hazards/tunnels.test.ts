import { once } from "node:events";
import type { Socket } from "node:net";
import t, { type Test } from "tap";
import {
  addRoute,
  answering,
  eventually,
  heldBytes,
  newId,
  RawClient,
  routeTo,
  settled,
  startApp,
  startGateway,
  startPreview,
} from "./test-gateway.ts";

const switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
const upgrade = (host: string) =>
  `GET /socket HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n`;

/** An open tunnel: the client's end and the app's. */
async function open(t: Test): Promise<{ client: RawClient; app: Socket; openSockets: () => number | undefined }> {
  const opened = Promise.withResolvers<Socket>();
  const { port, host, control } = await startPreview(
    t,
    answering((_, socket) => {
      socket.removeAllListeners("data");
      socket.pause();
      opened.resolve(socket);
      return switching;
    }),
  );
  const client = new RawClient(port).send(upgrade(host));
  await client.until(({ text }) => text.endsWith("\r\n\r\n"));
  return {
    client,
    app: await opened.promise,
    openSockets: () => control.reports.at(-1)?.sandboxes[0]?.openSockets,
  };
}

/** A data frame of so many bytes, unmasked. */
function frame(size: number): Buffer {
  const head = Buffer.alloc(10);
  head.set([0x82, 127]);
  head.writeUInt32BE(size, 6);
  return Buffer.concat([head, Buffer.alloc(size, "0123456789abcdef")]);
}

t.test("messages of a megabyte arrive whole in both directions at once", async (t) => {
  const { client, app } = await open(t);
  const messages = Buffer.concat(Array.from({ length: 16 }, () => frame(1 << 20)));
  const head = client.length;
  const received: Buffer[] = [];
  let length = 0;
  app.on("data", (chunk) => {
    received.push(chunk);
    length += chunk.length;
  });
  app.resume();
  app.write(messages);
  client.socket.write(messages);
  await client.until((each) => each.length === head + messages.length);
  await eventually(() => length === messages.length, "all of it has come");
  t.ok(client.received.subarray(head).equals(messages), "from the app");
  t.ok(Buffer.concat(received).equals(messages), "from the client");
  client.socket.destroy();
});

t.test("whoever does not read holds the other side back, and the gateway holds next to nothing", async (t) => {
  const size = 64 << 20;
  for (const who of ["client", "app"] as const) {
    const { client, app } = await open(t);
    const [stalled, sender] = who === "client" ? [client.socket, app] : [app, client.socket];
    stalled.pause();
    const before = heldBytes();
    const chunk = Buffer.alloc(1 << 16, 1);
    let written = 0;
    const pump = () => {
      while (written < size) {
        written += chunk.length;
        if (!sender.write(chunk)) return;
      }
    };
    sender.on("drain", pump);
    pump();
    await settled(() => written);
    t.ok(written < size / 2, `the ${who} holds the other side back after ${written >> 20} MiB`);
    await eventually(() => heldBytes() - before < 4 << 20, "memory stays flat");
    let read = 0;
    stalled.on("data", (more) => {
      read += more.length;
    });
    stalled.resume();
    await eventually(() => read === size, "the rest comes once it reads on");
    stalled.destroy();
  }
});

t.test("either side may end its half, and hears the other out", async (t) => {
  for (const who of ["client", "app"] as const) {
    const ends = await open(t);
    const [ender, other] = who === "client" ? [ends.client.socket, ends.app] : [ends.app, ends.client.socket];
    ends.app.resume();
    const ended = once(other, "end");
    ender.end("last words");
    await ended;
    const heard: Buffer[] = [];
    ender.on("data", (chunk) => heard.push(chunk));
    other.end("an answer to them");
    await once(ender, "close");
    t.match(Buffer.concat(heard).toString(), /an answer to them$/, `the ${who} ends first`);
    await eventually(() => (ends.openSockets() ?? 0) === 0, "the tunnel is closed");
  }
});

t.test("a break of either side at any moment closes both", async (t) => {
  const moments: Readonly<Record<string, (ends: { client: RawClient; app: Socket }) => Promise<void>>> = {
    "at once": async () => {},
    "in the middle of a frame of the app's": async ({ client, app }) => {
      const before = client.length;
      app.write(frame(1000).subarray(0, 500));
      await client.until(({ length }) => length > before);
    },
    "in the middle of a frame of the client's": async ({ client, app }) => {
      app.resume();
      const came = once(app, "data");
      client.socket.write(frame(1000).subarray(0, 500));
      await came;
    },
    "while the client does not read": async ({ client, app }) => {
      client.socket.pause();
      app.write(Buffer.alloc(16 << 20));
      await settled(() => app.writableLength);
    },
    "while the app does not read": async ({ client, app }) => {
      app.pause();
      client.socket.write(Buffer.alloc(16 << 20));
      await settled(() => client.socket.writableLength);
    },
    "after the client's end": async ({ client, app }) => {
      app.resume();
      const ended = once(app, "end");
      client.socket.end();
      await ended;
    },
    "after the app's end": async ({ client, app }) => {
      app.end();
      await client.until(({ ended }) => ended);
    },
  };
  for (const [when, prepare] of Object.entries(moments)) {
    for (const who of ["client", "app"] as const) {
      for (const how of ["destroy", "resetAndDestroy"] as const) {
        const ends = await open(t);
        await prepare(ends);
        const [breaker, other] = who === "client" ? [ends.client.socket, ends.app] : [ends.app, ends.client.socket];
        other.once("end", () => other.end());
        other.resume();
        breaker[how]();
        // One that had ended its half before says nothing by leaving: the other side learns of it at its next words.
        await eventually(() => {
          if (other.writable) other.write("x");
          return other.closed;
        }, `the other side hears of the ${who}'s ${how} ${when}`);
        t.pass(`the ${who}'s ${how} ${when}`);
        await eventually(() => (ends.openSockets() ?? 0) === 0, "the tunnel is closed");
        for (const socket of [breaker, other]) socket.destroy();
      }
    }
  }
});

t.test("a client that leaves before its upgrade is answered ends it at the app", async (t) => {
  for (const how of ["end", "destroy", "resetAndDestroy"] as const) {
    const reached = Promise.withResolvers<void>();
    const closed = Promise.withResolvers<void>();
    const { port, host, control } = await startPreview(
      t,
      answering((_, socket) => {
        socket.once("end", () => socket.end());
        socket.once("close", closed.resolve);
        return void reached.resolve();
      }),
    );
    const client = new RawClient(port).send(upgrade(host));
    await reached.promise;
    client.socket[how]();
    await closed.promise;
    await eventually(() => (control.reports.at(-1)?.sandboxes[0]?.openSockets ?? 0) === 0, "nothing is left open");
    t.pass(how);
    client.socket.destroy();
  }
});

t.test(
  "a client that leaves while its upgrade is held leaves nothing behind, and the app is never asked",
  async (t) => {
    for (const how of ["end", "destroy", "resetAndDestroy"] as const) {
      const test = await startGateway(t);
      let heads = 0;
      const app = await startApp(
        t,
        answering(() => {
          heads++;
          return switching;
        }),
      );
      const route = routeTo(newId(), app, { status: "stopped", endpoints: [] });
      const host = await addRoute(test, route);
      const woken = once(test.control.called, "wake");
      test.control.wake = () => new Promise(() => {});
      const client = new RawClient(test.port).send(upgrade(host));
      await woken;
      await eventually(() => test.control.reports.at(-1)?.sandboxes[0]?.openSockets === 1, "it is held");
      client.socket[how]();
      await eventually(() => (test.control.reports.at(-1)?.sandboxes[0]?.openSockets ?? 0) === 0, `${how}: it is gone`);
      await addRoute(test, routeTo(route.id, app, { generation: 5 }));
      t.equal(heads, 0);
      client.socket.destroy();
    }
  },
);

t.test("a refusal of an upgrade comes whole, however large it is and however it is framed", async (t) => {
  const body = "x".repeat(4 << 20);
  const refusals = {
    "a length": `Content-Length: ${body.length}\r\n\r\n${body}`,
    chunks: `Transfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`,
    "the end of the connection": `Connection: close\r\n\r\n${body}`,
  };
  for (const [what, bytes] of Object.entries(refusals)) {
    const { port, host } = await startPreview(
      t,
      answering((_, socket) => {
        socket.end(`HTTP/1.1 403 Forbidden\r\n${bytes}`);
        return undefined;
      }),
    );
    const text = await new RawClient(port).send(upgrade(host)).whole();
    t.equal(text.slice(text.indexOf("\r\n\r\n")).match(/x/g)?.length, body.length, what);
    t.match(text.slice(0, 30), /^HTTP\/1\.1 403 Forbidden\r\n/);
  }
  for (const status of ["204 No Content", "304 Not Modified", "426 Upgrade Required"]) {
    const { port, host } = await startPreview(
      t,
      answering(() =>
        `HTTP/1.1 ${status}\r\nETag: x\r\nContent-Length: 0\r\n\r\n`.replace(/(204.*)Content-Length: 0\r\n/s, "$1"),
      ),
    );
    t.match(await new RawClient(port).send(upgrade(host)).whole(), `HTTP/1.1 ${status}\r\nETag: x\r\n`);
  }
});
