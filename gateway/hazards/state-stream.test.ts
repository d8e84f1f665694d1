import { once } from "node:events";
import t from "tap";
import type { ProgressMessage, WakeOutcome } from "#contract/gateway-api.ts";
import {
  addRoute,
  eventually,
  exchangeBytes,
  freePort,
  newId,
  okApp,
  RawClient,
  routeTo,
  startGateway,
  type TestGateway,
} from "./test-gateway.ts";

const path = "/.well-known/sandboxd/state";
const get = (host: string, more = "") => `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n${more}\r\n`;
const sse = "Accept: text/event-stream\r\n";
const asleep = { status: "stopped", endpoints: [] } as const;

type Event = { readonly event: string; readonly data: Record<string, unknown> };

/** A reader of the state path's events. */
class Events {
  readonly client: RawClient;
  #seen = 0;

  constructor({ port }: TestGateway, host: string, target = path) {
    this.client = new RawClient(port).send(get(host, sse).replace(path, target));
  }

  get all(): Event[] {
    const chunks = [...this.client.text.matchAll(/^event: (.+)\ndata: (.+)\n\n/gm)];
    return chunks.map(([, event, data]) => ({ event: event!, data: JSON.parse(data!) }));
  }

  /** The next event, none of which is passed over. */
  async next(): Promise<Event> {
    const index = this.#seen++;
    await this.client.until(() => this.all.length > index);
    return this.all[index]!;
  }

  async nextState(): Promise<Event["data"]> {
    const { event, data } = await this.next();
    if (event !== "state") throw new Error(`a ${event} came: ${JSON.stringify(data)}`);
    return data;
  }

  close(): void {
    this.client.socket.destroy();
  }
}

const state = (message: Partial<Extract<ProgressMessage, { type: "state" }>>): ProgressMessage => ({
  type: "state",
  status: "waking",
  phase: "starting",
  reason: null,
  ...message,
});

t.test("StateStream tells each phase of a wake up to the app's answer", async (t) => {
  const test = await startGateway(t);
  const { control } = test;
  const port = await freePort();
  const route = routeTo(newId(), port);
  const host = await addRoute(test, { ...route, ...asleep });
  const followed = once(control.called, "progress");
  const events = new Events(test, host);
  t.strictSame(await events.nextState(), { status: "stopped", phase: "asleep" });
  await followed;
  control.publish({ ...route, status: "waking", endpoints: [] });
  t.strictSame(await events.nextState(), { phase: "starting", status: "waking" });
  control.tell(route.id, state({ phase: "queued", queuePosition: 2 }));
  t.strictSame(await events.nextState(), { phase: "queued", queue_position: 2, status: "waking" });
  control.tell(route.id, state({ phase: "starting", usualStartMs: 900 }));
  t.strictSame(await events.nextState(), { phase: "starting", usual_start_ms: 900, status: "waking" });
  control.tell(route.id, { type: "log", stream: "stderr", time: "2026-01-01T00:00:00.000Z", line: "hello" });
  t.strictSame(await events.next(), {
    event: "log",
    data: { stream: "stderr", time: "2026-01-01T00:00:00.000Z", line: "hello" },
  });
  control.publish({ ...route, run: 2 });
  t.match(await events.nextState(), { status: "running", phase: "waiting_for_port" });
  await okApp(t, port);
  t.strictSame(await events.nextState(), { status: "running", phase: "ready" });
  t.strictSame(control.wakes, [], "it watches and never wakes");
  events.close();
});

t.test("StateStream's head says whose it is and that nobody may keep it", async (t) => {
  const test = await startGateway(t);
  const host = await addRoute(test, routeTo(newId(), 1, asleep));
  const events = new Events(test, host);
  await events.next();
  const { text } = events.client;
  t.match(text, /^HTTP\/1\.1 200 OK\r\nContent-Type: text\/event-stream\r\n/);
  t.match(text, /X-Sandbox-Gateway: state\r\nX-Sandbox-State: asleep\r\nCache-Control: no-store\r\n/);
  t.match(text, /X-Robots-Tag: noindex\r\n/);
  events.close();
});

t.test("StateStream's head lets those origins read it that the sandbox's owner lists", async (t) => {
  const test = await startGateway(t);
  const origin = "https://builder.example";
  const host = await addRoute(test, routeTo(newId(), 1, { ...asleep, cors: { origins: [origin] } }));
  const client = new RawClient(test.port).send(get(host, `${sse}Origin: ${origin}\r\n`));
  await client.until(({ text }) => text.includes("event: state"));
  t.match(client.text, `\r\nAccess-Control-Allow-Origin: ${origin}\r\n`);
  client.socket.destroy();
});

t.test("StateStream says why a sandbox does not run", async (t) => {
  const test = await startGateway(t);
  const reason = { code: "exited", message: "It ended with 1.", retryAfterSeconds: 4, exitCode: 1 } as const;
  const host = await addRoute(test, routeTo(newId(), 1, { ...asleep, reason }));
  const events = new Events(test, host);
  t.strictSame(await events.nextState(), {
    status: "stopped",
    phase: "failed",
    reason: { code: "exited", message: "It ended with 1.", retry_after_seconds: 4 },
  });
  events.close();
});

t.test("StateStream says which ports listen when the one that is waited for does not", async (t) => {
  const test = await startGateway(t);
  test.control.listeners = { reachable: [5173], loopbackOnly: [] };
  const host = await addRoute(test, routeTo(newId(), await freePort()));
  const events = new Events(test, host);
  t.match(await events.nextState(), { phase: "waiting_for_port" });
  t.match(await events.nextState(), {
    ...{ status: "running", phase: "failed" },
    reason: { code: "no_listener", listening_ports: [5173] },
  });
  t.match(await events.nextState(), { phase: "waiting_for_port" }, "and waits on: the app may still come");
  events.close();
});

t.test("StateStream tells of a sandbox that is deleted, and ends", async (t) => {
  const test = await startGateway(t);
  const route = routeTo(newId(), 1, asleep);
  const events = new Events(test, await addRoute(test, route));
  await events.next();
  test.control.remove(route.id);
  t.match(await events.nextState(), { status: "deleted", phase: "failed", reason: { code: "not_found" } });
  await events.client.until(({ text }) => text.endsWith("0\r\n\r\n"));
  events.close();
});

t.test("StateStream inherits no right to wake from a request that left", async (t) => {
  const test = await startGateway(t, { holdSeconds: 0.4 });
  const { control } = test;
  const route = routeTo(newId(), await freePort());
  const host = await addRoute(test, route);
  const request = new RawClient(test.port).send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  const open = () => control.reports.at(-1)?.sandboxes[0]?.openRequests;
  await eventually(() => open() === 1, "a request waits");
  const events = new Events(test, host);
  t.match(await events.nextState(), { phase: "waiting_for_port" });
  request.socket.destroy();
  await eventually(() => open() === 0, "it left");
  control.publish({ ...route, ...asleep });
  t.strictSame(await events.nextState(), { status: "stopped", phase: "asleep" });
  // Whoever waits looks at the route again within 100 ms: as long as that, another request is held in vain.
  const other = await addRoute(test, routeTo(newId(), await freePort()));
  const held = await exchangeBytes(test.port, `GET / HTTP/1.1\r\nHost: ${other}\r\nConnection: close\r\n\r\n`);
  t.match(held, /X-Sandbox-Gateway: no_listener\r\n/);
  t.strictSame(control.wakes, []);
  events.close();
});

t.test("StateStream wakes the sandbox when it is asked to, once, and tells what came of it", async (t) => {
  const test = await startGateway(t);
  const { control } = test;
  const route = routeTo(newId(), await okApp(t));
  const host = await addRoute(test, { ...route, ...asleep });
  const outcomes: PromiseWithResolvers<WakeOutcome>[] = [];
  control.wake = () => {
    outcomes.push(Promise.withResolvers());
    return outcomes.at(-1)!.promise;
  };
  const heard = once(control.called, "wake");
  const events = new Events(test, host, `${path}?wake`);
  t.strictSame(await events.nextState(), { status: "stopped", phase: "asleep" });
  await heard;
  outcomes[0]!.resolve({ outcome: "refused", refusal: { code: "low_memory", message: "No.", retryAfterSeconds: 3 } });
  const reason = { code: "low_memory", message: "No.", retry_after_seconds: 3 };
  t.strictSame(await events.nextState(), { status: "stopped", phase: "failed", reason });
  t.strictSame(await events.nextState(), { status: "stopped", phase: "asleep" }, "it does not insist");
  events.close();

  const again = once(control.called, "wake");
  const second = new Events(test, host, `${path}?wake`);
  await again;
  control.publish({ ...route, status: "waking", endpoints: [] });
  outcomes[1]!.resolve({ outcome: "ready", route: control.publish({ ...route, run: 2 }) });
  while ((await second.nextState()).phase !== "ready");
  t.equal(control.wakes.length, 2);
  second.close();
});

t.test("StateStream wakes nothing that a visit may not wake", async (t) => {
  const test = await startGateway(t);
  const wakePolicy = { classes: { navigation: { wake: false } } };
  const host = await addRoute(test, routeTo(newId(), 1, { ...asleep, wakePolicy }));
  const followed = once(test.control.called, "progress");
  const events = new Events(test, host, `${path}?wake`);
  t.strictSame(await events.nextState(), { status: "stopped", phase: "asleep" });
  await followed;
  t.strictSame(test.control.wakes, []);
  events.close();
});

t.test("StateStream goes on without control, and lets go of it with its reader", async (t) => {
  const test = await startGateway(t);
  const { control } = test;
  const route = routeTo(newId(), await okApp(t));
  const host = await addRoute(test, { ...route, ...asleep });
  const followed = once(control.called, "progress");
  const events = new Events(test, host);
  t.strictSame(await events.nextState(), { status: "stopped", phase: "asleep" });
  await followed;
  t.equal(control.followers(route.id), 1);
  await control.stop();
  control.publish(route);
  const again = once(control.called, "progress");
  await control.start();
  t.match(await events.nextState(), { status: "running" });
  await again;
  events.close();
  await eventually(() => control.followers(route.id) === 0, "nobody follows any more");
  t.pass();
});

t.test("state() answers who does not want events, and nobody who writes", async (t) => {
  const test = await startGateway(t);
  const route = routeTo(newId(), await okApp(t));
  const host = await addRoute(test, route);
  const close = "Connection: close\r\n";
  const plain = await exchangeBytes(test.port, get(host, close));
  t.match(plain, /^HTTP\/1\.1 200 OK\r\n[\s\S]*X-Sandbox-State: running\r\n/);
  t.strictSame(JSON.parse(plain.slice(plain.indexOf("\r\n\r\n"))), { id: route.id, status: "running" });
  const query = await exchangeBytes(test.port, get(host, close).replace(path, `${path}?x`));
  t.match(query, /X-Sandbox-Gateway: state\r\n/);
  const head = await exchangeBytes(test.port, get(host, sse + close).replace("GET", "HEAD"));
  t.match(head, /^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\n$/);
  const post = await exchangeBytes(test.port, get(host, close).replace("GET", "POST"));
  t.match(post, /^HTTP\/1\.1 400 [\s\S]*X-Sandbox-Gateway: bad_request\r\n/);
});

t.test("state() lets only so many follow one sandbox, and again when some left", async (t) => {
  const test = await startGateway(t);
  const host = await addRoute(test, routeTo(newId(), 1, asleep));
  const streams = Array.from({ length: 100 }, () => new Events(test, host));
  await Promise.all(streams.map((events) => events.next()));
  const close = `${sse}Connection: close\r\n`;
  t.match(await exchangeBytes(test.port, get(host, close)), /^HTTP\/1\.1 503 [\s\S]*X-Sandbox-Gateway: busy\r\n/);
  const other = new Events(test, await addRoute(test, routeTo(newId(), 1, asleep)));
  await other.next();
  streams.pop()!.close();
  await eventually(() => test.control.followers() === 100, "one of them left");
  streams.push(new Events(test, host));
  t.strictSame(await streams.at(-1)!.nextState(), { status: "stopped", phase: "asleep" });
  for (const events of [...streams, other]) events.close();
});
