import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import t, { type Test } from "tap";
import type { FenceReport, Route, WakeOutcome } from "#contract/gateway-api.ts";
import {
  addRoute,
  answering,
  eventually,
  newId,
  RawClient,
  routeTo,
  startApp,
  startGateway,
  type TestGateway,
} from "./test-gateway.ts";
import { Load } from "./test-load.ts";

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const switched = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
const get = (path: string, host: string) => `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
const upgrade = (host: string) =>
  `GET /socket HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n`;

type App = { readonly seen: string[]; readonly slow: Socket[]; readonly sockets: Set<Socket> };

/** A running sandbox that control is about to stop. Its app answers `/slow` and `/socket` when the test says so. */
class Stopping {
  readonly test: TestGateway;
  readonly route: Route;
  readonly host: string;
  /** What reached the app, in order. */
  readonly seen: string[];
  readonly #app: App;
  #wake: PromiseWithResolvers<WakeOutcome> | undefined;

  private constructor(test: TestGateway, route: Route, host: string, app: App) {
    this.test = test;
    this.route = route;
    this.host = host;
    this.seen = app.seen;
    this.#app = app;
    test.control.wake = () => {
      this.#wake ??= Promise.withResolvers();
      return this.#wake.promise;
    };
  }

  static async open(t: Test): Promise<Stopping> {
    const app: App = { seen: [], slow: [], sockets: new Set() };
    const port = await startApp(
      t,
      answering((head, socket) => {
        const path = head.split(" ")[1]!;
        app.seen.push(path);
        if (path === "/slow") app.slow.push(socket);
        app.sockets.add(socket);
        socket.once("end", () => socket.end());
        return path === "/slow" ? undefined : path === "/socket" ? switched : ok;
      }),
    );
    const test = await startGateway(t);
    const route = routeTo(newId(), port);
    return new Stopping(test, route, await addRoute(test, route), app);
  }

  client(bytes: string): RawClient {
    return new RawClient(this.test.port).send(bytes);
  }

  async reaches(path: string): Promise<void> {
    await eventually(() => this.seen.includes(path), `${path} reaches the app`);
  }

  finishSlow(): void {
    for (const socket of this.#app.slow.splice(0)) socket.write(ok);
  }

  stopApp(): void {
    for (const socket of this.#app.sockets) socket.destroy();
  }

  drain(): Route {
    return this.test.control.publish({ ...this.route, status: "draining" });
  }

  /** Resolves with the newest report when it says this. */
  async fence(openRequests: number, openSockets: number): Promise<FenceReport> {
    const newest = () => this.test.control.fences.at(-1);
    const says = () => newest()?.openRequests === openRequests && newest()?.openSockets === openSockets;
    await eventually(says, `a fence report of ${openRequests} requests and ${openSockets} sockets`);
    return newest()!;
  }

  /** Resolves when the gateway has so many open, held ones among them. */
  async holds(count: number): Promise<void> {
    await eventually(() => {
      const { openRequests = 0, openSockets = 0 } = this.test.control.reports.at(-1)?.sandboxes[0] ?? {};
      return openRequests + openSockets === count;
    }, `${count} are open`);
  }

  /** The stop is off: the sandbox goes on as it was. */
  cancel(): void {
    const route = this.test.control.publish(this.route);
    this.#wake?.resolve({ outcome: "ready", route });
  }

  stopped(): void {
    this.test.control.publish({ ...this.route, status: "stopped", endpoints: [] });
  }

  paused(): void {
    this.test.control.publish({ ...this.route, status: "paused", endpoints: [] });
  }

  wakeUp(): void {
    const route = this.test.control.publish({ ...this.route, run: 2 });
    this.#wake?.resolve({ outcome: "ready", route });
  }
}

t.test("a fence report says what was let through before, and again what is left of it", async (t) => {
  const stopping = await Stopping.open(t);
  const clients = [stopping.client(get("/slow", stopping.host)), stopping.client(upgrade(stopping.host))];
  await stopping.reaches("/slow");
  await clients[1]!.until(({ text }) => text.includes("\r\n\r\n"));
  const draining = stopping.drain();
  const first = await stopping.fence(1, 1);
  t.match(first, { id: stopping.route.id, generation: draining.generation, keepsAwake: 2 });
  t.ok(first.lastActiveAt > 0);
  t.equal(first.worker, stopping.test.control.watches[0]!.get("worker"));
  stopping.finishSlow();
  await clients[0]!.until(({ text }) => text.endsWith("ok"));
  t.match(clients[0]!.text, /^HTTP\/1\.1 200 OK\r\n/, "what is under way ends well");
  await stopping.fence(0, 1);
  clients[1]!.socket.destroy();
  t.match(await stopping.fence(0, 0), { keepsAwake: 0, generation: draining.generation });
  clients[0]!.socket.destroy();
});

t.test("a fence report comes at once when nothing is open", async (t) => {
  const stopping = await Stopping.open(t);
  const reported = once(stopping.test.control.called, "fences");
  const { generation } = stopping.drain();
  await reported;
  t.match(stopping.test.control.fences, [{ openRequests: 0, openSockets: 0, keepsAwake: 0, generation }]);
});

t.test("requests that come during a drain are held, and go on when it is called off", async (t) => {
  const stopping = await Stopping.open(t);
  stopping.drain();
  await stopping.fence(0, 0);
  const clients = [stopping.client(get("/held", stopping.host)), stopping.client(upgrade(stopping.host))];
  await stopping.holds(2);
  t.strictSame(stopping.seen, [], "none of them reached the app");
  t.match(await stopping.fence(0, 0), {}, "they do not keep the fence from falling");
  stopping.cancel();
  await clients[0]!.until(({ text }) => text.endsWith("ok"));
  t.match(clients[0]!.text, /^HTTP\/1\.1 200 OK\r\n/);
  await clients[1]!.until(({ text }) => text.endsWith("\r\n\r\n"));
  t.match(clients[1]!.text, /^HTTP\/1\.1 101 /);
  for (const client of clients) client.socket.destroy();
});

t.test("requests that come during a drain wake the sandbox again when it was stopped", async (t) => {
  const stopping = await Stopping.open(t);
  stopping.drain();
  await stopping.fence(0, 0);
  const clients = [stopping.client(get("/held", stopping.host)), stopping.client(upgrade(stopping.host))];
  await stopping.holds(2);
  stopping.stopped();
  await eventually(() => stopping.test.gateway.table.get(stopping.route.id)?.status === "stopped", "it is stopped");
  t.strictSame(stopping.seen, []);
  stopping.wakeUp();
  await clients[0]!.until(({ text }) => text.endsWith("ok"));
  await clients[1]!.until(({ text }) => text.endsWith("\r\n\r\n"));
  t.match(clients[1]!.text, /^HTTP\/1\.1 101 /);
  t.equal(stopping.test.control.wakes.length, 1);
  for (const client of clients) client.socket.destroy();
});

t.test("a kept connection outlives the stop of its sandbox", async (t) => {
  const stopping = await Stopping.open(t);
  const client = stopping.client(get("/1", stopping.host));
  await client.until(({ text }) => text.endsWith("ok"));
  stopping.drain();
  await stopping.fence(0, 0);
  stopping.stopped();
  client.send(get("/2", stopping.host));
  await stopping.holds(1);
  stopping.wakeUp();
  await client.until(({ text }) => text.match(/200 OK/g)?.length === 2);
  t.strictSame(stopping.seen, ["/1", "/2"]);
  client.socket.destroy();
});

t.test("a lost fence report is made again", async (t) => {
  const stopping = await Stopping.open(t);
  let lost = 0;
  stopping.test.control.accept = (call) => call !== "fences" || ++lost > 2;
  stopping.drain();
  t.match(await stopping.fence(0, 0), { id: stopping.route.id });
  t.equal(lost, 3);
});

t.test("a fence report never overtakes an older one", async (t) => {
  const stopping = await Stopping.open(t);
  const { control } = stopping.test;
  const client = stopping.client(get("/slow", stopping.host));
  await stopping.reaches("/slow");
  const gate = Promise.withResolvers<boolean>();
  const reached = Promise.withResolvers<void>();
  control.accept = (call) => {
    if (call !== "fences") return true;
    reached.resolve();
    return gate.promise;
  };
  stopping.drain();
  await reached.promise;
  stopping.finishSlow();
  await client.until(({ text }) => text.endsWith("ok"));
  await stopping.holds(0);
  control.accept = () => true;
  gate.resolve(true);
  await stopping.fence(0, 0);
  t.strictSame(
    control.fences.map(({ openRequests }) => openRequests),
    [1, 0],
  );
  client.socket.destroy();
});

t.test("the sockets of a sandbox that sleeps end with 1001", async (t) => {
  const stopping = await Stopping.open(t);
  const client = await stopping.client(upgrade(stopping.host)).until(({ text }) => text.includes("\r\n\r\n"));
  stopping.drain();
  await stopping.fence(0, 1);
  stopping.stopApp();
  await client.until(({ ended }) => ended);
  t.strictSame([...client.received.subarray(-4)], [0x88, 0x02, 0x03, 0xe9]);
  await stopping.fence(0, 0);
  client.socket.destroy();
});

t.test("the sockets of a sandbox that is paused end with 1001, though its app says nothing", async (t) => {
  const stopping = await Stopping.open(t);
  const client = await stopping.client(upgrade(stopping.host)).until(({ text }) => text.includes("\r\n\r\n"));
  stopping.drain();
  await stopping.fence(0, 1);
  stopping.paused();
  await client.until(({ ended }) => ended);
  t.strictSame([...client.received.subarray(-4)], [0x88, 0x02, 0x03, 0xe9]);
  client.socket.destroy();
});

/** One run after another of a sandbox's app, each on a port of its own. */
class Runs {
  #server: Server | undefined;

  async start(run: number): Promise<number> {
    const body = `run ${run}`;
    this.#server = createServer((request, response) => {
      request.resume().once("end", () => response.end(body));
    });
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return (this.#server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    const closed = once(this.#server!, "close");
    this.#server!.close();
    this.#server!.closeAllConnections();
    await closed;
  }
}

t.test("no request fails while a sandbox goes to sleep and wakes up under load", async (t) => {
  const test = await startGateway(t);
  const { control } = test;
  const runs = new Runs();
  t.teardown(() => runs.stop());
  let route = routeTo(newId(), await runs.start(1));
  const host = await addRoute(test, route);
  let asleep = Promise.withResolvers<void>();
  control.wake = async () => {
    await asleep.promise;
    const run = route.run + 1;
    route = control.publish(routeTo(route.id, await runs.start(run), { run }));
    return { outcome: "ready", route };
  };
  const load = new Load(t, test.port, host);
  for (let cycle = 0; cycle < 30; cycle++) {
    await load.more(50);
    asleep = Promise.withResolvers();
    const { generation } = control.publish({ ...route, status: "draining" });
    const newest = () => control.fences.findLast((report) => report.generation === generation);
    await eventually(() => newest()?.openRequests === 0, "nothing is open");
    await runs.stop();
    const { run } = control.publish({ ...route, status: "stopped", endpoints: [] });
    asleep.resolve();
    await eventually(() => (test.gateway.table.get(route.id)?.run ?? 0) > run, "it runs again");
  }
  await load.more(50);
  await load.end();
  t.strictSame(load.failures, []);
  t.equal(route.run, 31);
});
