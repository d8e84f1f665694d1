import { once } from "node:events";
import type { Socket } from "node:net";
import t, { type Test } from "tap";
import type { Route, WakeOutcome } from "#contract/gateway-api.ts";
import {
  addRoute,
  answering,
  eventually,
  exchangeBytes,
  freePort,
  newId,
  RawClient,
  routeTo,
  startApp,
  startGateway,
  type TestGateway,
} from "./test-gateway.ts";

const get = (host: string) => `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`;

/** One address that belongs to one tenant after the other. Its connections live on, whoever owns it: the kernel does not care. */
class Address {
  port = 0;
  owner = "first";
  /** Who owned the address when each request came, and when its connection was made. */
  readonly requests: { readonly owner: string; readonly madeUnder: string }[] = [];
  readonly connections: { readonly madeUnder: string; readonly socket: Socket }[] = [];

  static async open(t: Test): Promise<Address> {
    const address = new Address();
    address.port = await startApp(t, (socket) => {
      const madeUnder = address.owner;
      address.connections.push({ madeUnder, socket });
      socket.once("end", () => socket.end());
      answering((head) => {
        address.requests.push({ owner: address.owner, madeUnder });
        if (head.startsWith("GET /never")) return undefined;
        return `HTTP/1.1 200 OK\r\nContent-Length: ${address.owner.length}\r\n\r\n${address.owner}`;
      })(socket);
    });
    return address;
  }

  openConnections(madeUnder: string): number {
    return this.connections.filter((each) => each.madeUnder === madeUnder && !each.socket.destroyed).length;
  }
}

async function answerOf({ port }: TestGateway, host: string): Promise<string> {
  const text = await exchangeBytes(port, `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  return text.slice(text.indexOf("\r\n\r\n") + 4);
}

/** Uses the sandbox over several connections at once, which the gateway keeps. */
async function use(test: TestGateway, host: string): Promise<void> {
  const answers = await Promise.all(Array.from({ length: 4 }, () => answerOf(test, host)));
  if (answers.some((answer) => answer !== "first")) throw new Error(answers.join());
}

t.test("a sandbox that stops leaves no connection to whoever gets its address", async (t) => {
  const test = await startGateway(t);
  const address = await Address.open(t);
  const first = routeTo(newId(), address.port);
  const firstHost = await addRoute(test, first);
  await use(test, firstHost);
  test.control.publish({ ...first, status: "stopped", endpoints: [] });
  await eventually(() => address.openConnections("first") === 0, "the kept connections are closed");
  address.owner = "second";
  const secondHost = await addRoute(test, routeTo(newId(), address.port));
  t.equal(await answerOf(test, secondHost), "second");
  t.strictSame(address.requests.at(-1), { owner: "second", madeUnder: "second" });
  const elsewhere = await startApp(
    t,
    answering(() => "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nelsewhere"),
  );
  test.control.wake = () => ({
    outcome: "ready",
    route: test.control.publish(routeTo(first.id, elsewhere, { run: 2 })),
  });
  t.equal(await answerOf(test, firstHost), "elsewhere", "the first one is found where it is now");
  t.equal(
    address.requests.filter(({ owner }) => owner === "second").length,
    1,
    "only the second one's own request came",
  );
});

t.test("every status without a run ends the connections, and a removal does", async (t) => {
  for (const status of ["stopped", "error", "creating", "waking", "removed"] as const) {
    const test = await startGateway(t);
    const address = await Address.open(t);
    const route = routeTo(newId(), address.port);
    await use(test, await addRoute(test, route));
    if (status === "removed") test.control.remove(route.id);
    else test.control.publish({ ...route, status, endpoints: [] });
    await eventually(() => address.openConnections("first") === 0, `${status} ends them`);
    t.pass(status);
  }
});

t.test("a new run takes no connection over, though its address is the same", async (t) => {
  const test = await startGateway(t);
  const address = await Address.open(t);
  const route = routeTo(newId(), address.port);
  const host = await addRoute(test, route);
  await use(test, host);
  address.owner = "second";
  await addRoute(test, { ...route, run: 2, generation: 2 });
  t.equal(await answerOf(test, host), "second");
  t.strictSame(address.requests.at(-1), { owner: "second", madeUnder: "second" });
  await eventually(() => address.openConnections("first") === 0, "those of the run before are closed");
});

t.test("a change that is no new run keeps the connections", async (t) => {
  const test = await startGateway(t);
  const address = await Address.open(t);
  const route = routeTo(newId(), address.port);
  const host = await addRoute(test, route);
  t.equal(await answerOf(test, host), "first");
  const made = address.connections.length;
  for (const status of ["draining", "paused", "running"] as const) {
    await addRoute(test, { ...route, status });
  }
  t.equal(await answerOf(test, host), "first");
  t.equal(address.connections.length, made, "a stop that was called off, or a pause, costs no connection");
});

t.test("a request that waits for an address is not sent there once it is another sandbox's", async (t) => {
  const test = await startGateway(t);
  const port = await freePort();
  const first = routeTo(newId(), port);
  const host = await addRoute(test, first);
  const client = new RawClient(test.port).send(get(host));
  await eventually(() => test.control.reports.at(-1)?.sandboxes[0]?.openRequests === 1, "it is held");
  const woken = once(test.control.called, "wake");
  test.control.wake = () => new Promise(() => {});
  test.control.publish({ ...first, status: "stopped", endpoints: [] });
  await woken;
  let requests = 0;
  await startApp(
    t,
    answering(() => {
      requests++;
      return "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond";
    }),
    port,
  );
  const secondHost = await addRoute(test, routeTo(newId(), port));
  t.equal(await answerOf(test, secondHost), "second");
  t.equal(requests, 1, "the first one's request is held on");
  t.equal(client.text, "");
  client.socket.destroy();
});

t.test("a request in the middle of a stop is cut, not continued by another sandbox", async (t) => {
  const test = await startGateway(t);
  const address = await Address.open(t);
  const route = routeTo(newId(), address.port);
  const host = await addRoute(test, route);
  const client = new RawClient(test.port).send(get(host).replace("GET /", "GET /never"));
  await eventually(() => address.requests.length === 1, "it reached the app");
  test.control.publish({ ...route, status: "stopped", endpoints: [] });
  await client.until(({ text }) => text.endsWith("}"));
  t.match(client.text, /^HTTP\/1\.1 502 [\s\S]*X-Sandbox-Gateway: upstream_reset\r\n[\s\S]*closed the connection/);
  t.match(client.text, /X-Sandbox-State: (asleep|running)\r\n/);
  client.socket.destroy();
});

t.test("a wake's answer does not bring back a sandbox that was removed meanwhile", async (t) => {
  const test = await startGateway(t);
  const address = await Address.open(t);
  const route = routeTo(newId(), address.port);
  const host = await addRoute(test, { ...route, status: "stopped", endpoints: [] });
  const wake = Promise.withResolvers<WakeOutcome>();
  test.control.wake = () => wake.promise;
  const woken = once(test.control.called, "wake");
  const client = new RawClient(test.port).send(get(host));
  await woken;
  const removed = once(test.gateway.table, "route");
  test.control.remove(route.id);
  await removed;
  wake.resolve({ outcome: "ready", route: { ...route, generation: 9 } });
  await client.until(({ text }) => text.endsWith("}"));
  t.match(client.text, /^HTTP\/1\.1 404 Not Found\r\n/);
  t.equal(test.gateway.table.get(route.id), undefined);
  t.strictSame(address.requests, []);
  client.socket.destroy();
});

t.test("a late word about an earlier generation changes nothing", async (t) => {
  const test = await startGateway(t);
  const { control, gateway } = test;
  const address = await Address.open(t);
  const route = routeTo(newId(), address.port);
  const host = await addRoute(test, { ...route, generation: 7 });
  await use(test, host);
  const other = newId();
  const late: Route[] = [
    { ...route, generation: 6, status: "stopped", endpoints: [] },
    { ...route, generation: 5, run: 9 },
  ];
  for (const each of late) control.send({ type: "change", revision: ++control.revision, route: each });
  await addRoute(test, routeTo(other, 1));
  t.match(gateway.table.get(route.id), { generation: 7, status: "running", run: 1 });
  const made = address.connections.length;
  t.equal(await answerOf(test, host), "first");
  t.equal(address.connections.length, made, "its connections are kept");
});
