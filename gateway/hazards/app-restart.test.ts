import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import t, { type Test } from "tap";
import { addRoute, answering, eventually, newId, RawClient, routeTo, startGateway } from "./test-gateway.ts";

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const get = (host: string) => `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`;

/** An app whose process ends and comes again at the same port, as a development server does when its code changes. */
class RestartingApp {
  port = 0;
  requests = 0;
  #server: Server | undefined;
  readonly #sockets = new Set<Socket>();
  /** Called with each request; returns whether it is answered. */
  onRequest: () => boolean = () => true;

  static async open(t: Test): Promise<RestartingApp> {
    const app = new RestartingApp();
    await app.start();
    t.teardown(() => app.stop());
    return app;
  }

  async start(): Promise<void> {
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on("error", () => {});
      answering(() => {
        this.requests++;
        return this.onRequest() ? ok : undefined;
      })(socket);
    });
    this.#server.listen(this.port, "127.0.0.1");
    await once(this.#server, "listening");
    this.port = (this.#server.address() as AddressInfo).port;
  }

  stop(how: "destroy" | "resetAndDestroy" = "destroy"): void {
    this.#server?.close();
    for (const socket of this.#sockets) socket[how]();
    this.#sockets.clear();
  }
}

t.test("a request that meets an app between two lives is held until the next", async (t) => {
  for (const how of ["destroy", "resetAndDestroy"] as const) {
    const test = await startGateway(t);
    const app = await RestartingApp.open(t);
    const host = await addRoute(test, routeTo(newId(), app.port));
    const client = await new RawClient(test.port).send(get(host)).until(({ text }) => text.endsWith("ok"));
    app.stop(how);
    client.send(get(host));
    const open = () => test.control.reports.at(-1)?.sandboxes[0];
    await eventually(() => open()?.openRequests === 1, "it is held");
    await app.start();
    await client.until(({ text }) => text.match(/200 OK/g)?.length === 2);
    t.notMatch(client.text, "502", how);
    client.socket.destroy();
  }
});

t.test("a request that is sent again finds nobody listening, and is held like any other", async (t) => {
  for (const how of ["destroy", "resetAndDestroy"] as const) {
    const test = await startGateway(t);
    const app = await RestartingApp.open(t);
    const host = await addRoute(test, routeTo(newId(), app.port));
    const client = await new RawClient(test.port).send(get(host)).until(({ text }) => text.endsWith("ok"));
    app.onRequest = () => {
      app.stop(how);
      return false;
    };
    client.send(get(host));
    await eventually(() => app.requests === 2, "it went out on the kept connection");
    app.onRequest = () => true;
    await app.start();
    await client.until(({ text }) => text.match(/HTTP\/1\.1 /g)?.length === 2 && /\r\n\r\n\S+$/.test(text));
    t.match(client.text.slice(client.text.lastIndexOf("HTTP/1.1 ")), /^HTTP\/1\.1 200 OK\r\n/, how);
    t.equal(app.requests, 3);
    client.socket.destroy();
  }
});

t.test("a request that may have had an effect is not sent again", async (t) => {
  for (const lines of ["POST 2\r\n\r\nab", "POST 0\r\n\r\n", "PATCH 0\r\n\r\n", "PUT 2\r\n\r\nab"]) {
    const test = await startGateway(t);
    const app = await RestartingApp.open(t);
    const host = await addRoute(test, routeTo(newId(), app.port));
    const client = await new RawClient(test.port).send(get(host)).until(({ text }) => text.endsWith("ok"));
    app.onRequest = () => {
      app.stop();
      return false;
    };
    client.send(lines.replace(" ", ` / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: `));
    await client.until(({ text }) => text.endsWith("}"));
    t.match(client.text.slice(client.text.lastIndexOf("HTTP/1.1 ")), /^HTTP\/1\.1 502 Bad Gateway\r\n/, lines);
    t.equal(app.requests, 2);
    client.socket.destroy();
  }
});

t.test("a body that met nobody arrives whole at the next life", async (t) => {
  const test = await startGateway(t);
  const app = await RestartingApp.open(t);
  const host = await addRoute(test, routeTo(newId(), app.port));
  const client = await new RawClient(test.port).send(get(host)).until(({ text }) => text.endsWith("ok"));
  app.stop();
  const body = `GET /${"x".repeat(100_000)}\r\n\r\n`;
  client.send(`POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
  await eventually(() => test.control.reports.at(-1)?.sandboxes[0]?.openRequests === 1, "it is held");
  app.requests = 0;
  await app.start();
  await client.until(({ text }) => text.match(/200 OK/g)?.length === 2);
  await eventually(() => app.requests === 2, "the head and the last line of the body came");
  t.pass();
  client.socket.destroy();
});
