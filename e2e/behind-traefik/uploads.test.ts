import type { Socket } from "node:net";
import t from "tap";
import { hearing } from "../../gateway/hazards/hearing-app.ts";
import { eventually, ok, RawClient } from "../../gateway/hazards/test-gateway.ts";
import { missingPart } from "../parts/parts.ts";
import { domain, startEdge } from "./edge.ts";

/** Uploads, with Traefik before the gateway. */

const skip = missingPart("traefik");
const edge = skip ? undefined : await startEdge(t, { config: { bodyIdleSeconds: 2, headTimeoutSeconds: 2 } });

const early = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig";
const size = 20_000_000;
const part = Buffer.alloc(10_000);
const chunk = Buffer.concat([Buffer.from("2710\r\n"), part, Buffer.from("\r\n")]);

/** Uploads of so many bytes: what frames them, and their bodies. */
const framings = {
  "a length": [`Content-Length: ${size}\r\n`, Buffer.concat(Array(size / 10_000).fill(part))],
  chunks: [
    "Transfer-Encoding: chunked\r\n",
    Buffer.concat([...Array(size / 10_000).fill(chunk), Buffer.from("0\r\n\r\n")]),
  ],
  "an expectation": [
    `Expect: 100-continue\r\nContent-Length: ${size}\r\n`,
    Buffer.concat(Array(size / 10_000).fill(part)),
  ],
} as const;

t.test("behind Traefik, a body goes with every method, in the framing that it came in", { skip }, async (t) => {
  const bodies = {
    "Content-Length: 4": "body",
    "Transfer-Encoding: chunked": "4\r\nbody\r\n0\r\n\r\n",
  };
  for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "PURGE"]) {
    for (const [framing, body] of Object.entries(bodies)) {
      const { app, heard } = hearing(body);
      const host = await edge!.addApp(app);
      const client = new RawClient(edge!.traefik.web);
      client.send(`${method} / HTTP/1.1\r\nHost: ${host}\r\n${framing}\r\n\r\n${body}`);
      await client.until(({ text }) => text.endsWith("ok"));
      const [lines = "", ...rest] = heard().split("\r\n\r\n");
      t.equal(rest.join("\r\n\r\n"), body, `${method} with ${framing}`);
      t.match(lines, new RegExp(`^${framing}$`, "im"));
      client.socket.destroy();
    }
  }
});

for (const [what, [lines, body]] of Object.entries(framings)) {
  t.test(`behind Traefik, an upload with ${what} arrives whole`, { skip }, async (t) => {
    let received = 0;
    const host = await edge!.addApp((socket) => {
      socket.on("data", (more) => {
        if (received === 0 && /expect/i.test(more.toString("latin1"))) socket.write("HTTP/1.1 100 Continue\r\n\r\n");
        received += more.length;
        if (received > size && (what !== "chunks" || more.subarray(-5).toString() === "0\r\n\r\n")) socket.write(ok);
      });
    });
    const client = new RawClient(edge!.traefik.web).send(`POST / HTTP/1.1\r\nHost: ${host}\r\n${lines}\r\n`).send(body);
    await client.until(({ text }) => text.endsWith("ok"));
    t.match(client.text, /HTTP\/1\.1 200 OK\r\n/);
    client.socket.destroy();
  });

  t.test(`behind Traefik, an upload with ${what} that the gateway refuses is that refusal`, { skip }, async (t) => {
    const host = `nobody.preview.${domain}`;
    const client = new RawClient(edge!.traefik.web).send(`POST / HTTP/1.1\r\nHost: ${host}\r\n${lines}\r\n`).send(body);
    await client.until(({ text, closed }) => closed || text.includes("not_found"));
    t.match(client.text, /^HTTP\/1\.1 404 Not Found\r\n/, "not a 502");
    client.socket.destroy();
  });

  t.test(`behind Traefik, an app that answers an upload with ${what} early is heard`, { skip }, async (t) => {
    const endings: Readonly<Record<string, (socket: Socket) => void>> = {
      "goes on reading": () => {},
      ends: (socket) => socket.end(),
      "closes, without having read it": (socket) => socket.destroy(),
    };
    for (const [how, end] of Object.entries(endings)) {
      const host = await edge!.addApp((socket) => {
        socket.once("data", () => {
          if (how.startsWith("closes")) socket.pause();
          socket.write(early, () => end(socket));
        });
      });
      const client = new RawClient(edge!.traefik.web)
        .send(`POST / HTTP/1.1\r\nHost: ${host}\r\n${lines}\r\n`)
        .send(body);
      await client.until(({ text, closed, ended }) => closed || ended || text.endsWith("big"));
      t.match(client.text, /^HTTP\/1\.1 413 [\s\S]*big$/, how);
      client.socket.destroy();
    }
  });
}

t.test("behind Traefik, the app decides about a body that waits", { skip }, async (t) => {
  const head = (host: string) =>
    `POST / HTTP/1.1\r\nHost: ${host}\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n`;
  for (const status of ["417 Expectation Failed", "413 Content Too Large", "401 Unauthorized"]) {
    const host = await edge!.addApp((socket) => {
      socket.once("data", () => socket.end(`HTTP/1.1 ${status}\r\nContent-Length: 2\r\n\r\nno`));
    });
    const client = new RawClient(edge!.traefik.web).send(head(host));
    await client.until(({ text }) => /\r\n\r\nno$/.test(text));
    t.match(client.text, new RegExp(`HTTP/1\\.1 ${status.slice(0, 3)} `));
    client.socket.destroy();
  }
  const { app, heard } = hearing("body");
  const host = await edge!.addApp((socket) => {
    socket.once("data", () => socket.write("HTTP/1.1 100 Continue\r\n\r\n"));
    app(socket);
  });
  const client = new RawClient(edge!.traefik.web).send(head(host));
  await client.until(({ text }) => text.startsWith("HTTP/1.1 100 Continue\r\n\r\n"));
  client.send("body");
  await client.until(({ text }) => text.endsWith("ok"));
  t.match(heard(), /\r\n\r\nbody$/);
  client.socket.destroy();
});

t.test("behind Traefik, a client that leaves during its upload ends it at the app", { skip }, async (t) => {
  for (const how of ["destroy", "resetAndDestroy"] as const) {
    const { app, heard, closed } = hearing("nothing");
    const host = await edge!.addApp(app);
    const client = new RawClient(edge!.traefik.web);
    client.send(`POST / HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n`);
    await eventually(() => heard().includes("good"), "the first part arrives");
    client.socket[how]();
    await closed;
    t.notMatch(heard(), /\r\n0\r\n\r\n/, how);
  }
});

t.test(
  "behind Traefik, an app that breaks off in the middle of an upload: 502 of the gateway's",
  { skip },
  async (t) => {
    for (const how of ["end", "destroy", "resetAndDestroy"] as const) {
      let heard = 0;
      const host = await edge!.addApp((socket) => {
        socket.on("data", (more) => {
          heard += more.length;
          if (heard > 1_000_000 && !socket.destroyed) socket[how]();
        });
      });
      const [lines, body] = framings["a length"];
      const client = new RawClient(edge!.traefik.web)
        .send(`POST / HTTP/1.1\r\nHost: ${host}\r\n${lines}\r\n`)
        .send(body);
      await client.until(({ text, closed, ended }) => closed || ended || text.endsWith("}"));
      t.match(client.text, /^HTTP\/1\.1 502 Bad Gateway\r\n[\s\S]*X-Sandbox-Gateway: upstream_reset\r\n/, how);
      client.socket.destroy();
    }
  },
);

t.test("behind Traefik, an upload is not cut for being slow", { skip }, async (t) => {
  let body = "";
  const host = await edge!.addApp((socket) => {
    let text = "";
    socket.on("data", (more) => {
      text += more.toString("latin1");
      body = text.split("\r\n\r\n")[1] ?? "";
      if (body.length === 15) socket.write(ok);
    });
  });
  const client = new RawClient(edge!.traefik.web).send(
    `POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 15\r\n\r\n`,
  );
  const drip = setInterval(() => client.send("x"), 300);
  t.teardown(() => clearInterval(drip));
  await eventually(() => body.length === 15, "all of it has come");
  clearInterval(drip);
  await client.until(({ text }) => text.endsWith("ok"));
  t.match(client.text, /^HTTP\/1\.1 200 OK\r\n/);
  client.socket.destroy();
});
