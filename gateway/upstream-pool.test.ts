import { createServer, type Server } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import t, { type Test } from "tap";
import { type UpstreamHandler, UpstreamPool } from "./upstream-pool.ts";

/** How one exchange ended. */
type Outcome = { readonly status?: number; readonly error?: Error & { code?: string } };

/** Asks for `path`; headers are name and value in turn. */
function ask(pool: UpstreamPool, path: string, headers: string[] = []): Promise<Outcome> {
  const { promise, resolve } = Promise.withResolvers<Outcome>();
  let status = 0;
  const handler: UpstreamHandler & { isOver: boolean } = {
    isOver: false,
    onRequestStart() {},
    onResponseStart(_, code) {
      status = code;
    },
    onResponseData() {},
    onResponseEnd() {
      handler.isOver = true;
      // undici lets a turn of the event loop pass before a connection is free again.
      setImmediate(() => setImmediate(resolve, { status }));
    },
    onResponseError(_, error) {
      handler.isOver = true;
      resolve({ error });
    },
  };
  pool.dispatch({ method: "GET", path, headers }, handler);
  return promise;
}

async function startApp(
  t: Test,
): Promise<{ readonly pool: UpstreamPool; readonly server: Server; connections: number }> {
  const waiting: (() => void)[] = [];
  const server = createServer((request, response) => {
    if (request.url === "/together") {
      waiting.push(() => response.end("x"));
      if (waiting.length === 3) for (const end of waiting.splice(0)) end();
    } else response.end("x");
  });
  const app = { pool: undefined as unknown as UpstreamPool, server, connections: 0 };
  server.on("connection", () => app.connections++);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  app.pool = new UpstreamPool(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, {});
  t.teardown(async () => {
    await app.pool.destroy();
    server.closeAllConnections();
    server.close();
  });
  return app;
}

t.test("UpstreamPool gives each request that is under way a connection of its own, and uses them again", async (t) => {
  const app = await startApp(t);
  for (const _ of [1, 2, 3]) {
    const outcomes = await Promise.all([1, 2, 3].map(() => ask(app.pool, "/together")));
    t.ok(outcomes.every(({ status }) => status === 200));
  }
  t.equal(app.connections, 3);
});

t.test("UpstreamPool takes the connection that was used last, so that the others end", async (t) => {
  const app = await startApp(t);
  await Promise.all([1, 2, 3].map(() => ask(app.pool, "/together")));
  for (let index = 0; index < 10; index++) await ask(app.pool, "/");
  t.equal(app.connections, 3);
});

t.test("UpstreamPool keeps a connection whose request was refused before it was sent", async (t) => {
  const app = await startApp(t);
  await ask(app.pool, "/");
  for (const _ of [1, 2, 3]) {
    const { error } = await ask(app.pool, "/", ["x-bad", "\u0001"]);
    t.equal(error?.code, "UND_ERR_INVALID_ARG");
  }
  t.equal((await ask(app.pool, "/")).status, 200);
  t.equal(app.connections, 1);
});

t.test("UpstreamPool dials anew once a connection has ended", async (t) => {
  const app = await startApp(t);
  const sockets: Socket[] = [];
  app.server.on("connection", (socket) => sockets.push(socket));
  await ask(app.pool, "/");
  const ended = new Promise((resolve) => sockets[0]!.once("close", resolve));
  sockets[0]!.end();
  await ended;
  t.equal((await ask(app.pool, "/")).status, 200);
  t.equal(app.connections, 2);
});

t.test("UpstreamPool that is destroyed ends what is under way and takes nothing more", async (t) => {
  const app = await startApp(t);
  const arrived = new Promise((resolve) => app.server.once("request", resolve));
  const open = ask(app.pool, "/together");
  await arrived;
  await app.pool.destroy();
  t.equal((await open).error?.code, "UND_ERR_DESTROYED");
  t.equal((await ask(app.pool, "/")).error?.code, "UND_ERR_DESTROYED");
});
