import { once } from "node:events";
import t from "tap";
import { get, Sleeping, upgrade } from "./sleeping-sandbox.ts";
import { addRoute, freePort, newId, okApp, RawClient, routeTo, startGateway } from "./test-gateway.ts";

t.test("a navigation that waits too long gets the waking page", async (t) => {
  const sleeping = await Sleeping.open(t, await okApp(t), { holdNavigationMs: 20 });
  const text = await sleeping.client(get(sleeping.host, "Sec-Fetch-Mode: navigate\r\nConnection: close\r\n")).whole();
  t.match(text, /^HTTP\/1\.1 503 Service Unavailable\r\nRetry-After: 1\r\n/);
  t.match(text, /X-Sandbox-Gateway: waking\r\n/);
  t.match(text, /X-Sandbox-State: asleep\r\n/);
  t.match(text, /Cache-Control: no-store\r\n/);
  t.match(text, /Content-Type: text\/html/);
  t.match(text, sleeping.route.id);
  t.equal(sleeping.wakes, 1, "the wake goes on");
});

t.test("a form that was posted gets no waking page, which would lose it", async (t) => {
  const sleeping = await Sleeping.open(t, await okApp(t), { holdNavigationMs: 1 });
  const head = `POST / HTTP/1.1\r\nHost: ${sleeping.host}\r\nSec-Fetch-Mode: navigate\r\nContent-Length: 3\r\n\r\na=b`;
  const client = await sleeping.firstClient(head);
  sleeping.succeed();
  await client.until(({ text }) => text.endsWith("ok"));
  t.match(client.text, /^HTTP\/1\.1 200 OK\r\n/);
  client.socket.destroy();
});

t.test("anything else that waits too long is told where the wait was", async (t) => {
  const starting = await Sleeping.open(t, await okApp(t), { holdSeconds: 0.05 });
  const text = await starting.client(get(starting.host, "Connection: close\r\n")).whole();
  t.match(text, /^HTTP\/1\.1 503 [\s\S]*Retry-After: 5\r\n[\s\S]*X-Sandbox-Gateway: waking_timeout\r\n/);
  const socket = await starting.client(upgrade(starting.host)).whole();
  t.match(socket, /^HTTP\/1\.1 503 [\s\S]*X-Sandbox-Gateway: waking_timeout\r\n/, "an upgrade too");

  const test = await startGateway(t, { holdSeconds: 0.05 });
  const host = await addRoute(test, routeTo(newId(), await freePort()));
  const silent = await new RawClient(test.port).send(get(host, "Connection: close\r\n")).whole();
  t.match(silent, /^HTTP\/1\.1 502 [\s\S]*Retry-After: 5\r\n[\s\S]*X-Sandbox-Gateway: no_listener\r\n/);
});

t.test("a wake that took too long for control is told as such", async (t) => {
  const sleeping = await Sleeping.open(t, await okApp(t));
  const client = await sleeping.firstClient(get(sleeping.host, "Connection: close\r\n"));
  sleeping.end({ outcome: "timed-out" });
  t.match(
    await client.whole(),
    /^HTTP\/1\.1 503 [\s\S]*Retry-After: 5\r\n[\s\S]*X-Sandbox-Gateway: waking_timeout\r\n/,
  );
});

t.test("a port that does not listen is named with those that do", async (t) => {
  const test = await startGateway(t);
  const upstreamPort = await freePort();
  const host = await addRoute(test, routeTo(newId(), upstreamPort));
  test.control.listeners = { reachable: [5173], loopbackOnly: [] };
  const elsewhere = await new RawClient(test.port).send(get(host, "Connection: close\r\n")).whole();
  t.match(elsewhere, /^HTTP\/1\.1 502 [\s\S]*X-Sandbox-Gateway: no_listener\r\n[\s\S]*"listening_ports":\[5173\]/);
  test.control.listeners = { reachable: [], loopbackOnly: [upstreamPort] };
  const loopback = await new RawClient(test.port).send(get(host, "Connection: close\r\n")).whole();
  t.match(loopback, /^HTTP\/1\.1 502 [\s\S]*X-Sandbox-Gateway: loopback_only\r\n/);
});

t.test("an answer that is not in the words of the contract is a control that is away", async (t) => {
  const sleeping = await Sleeping.open(t, await okApp(t));
  const client = await sleeping.firstClient();
  const again = once(sleeping.test.control.called, "wake");
  sleeping.end({ outcome: "perhaps" } as never);
  await again;
  sleeping.succeed();
  await client.until(({ text }) => text.endsWith("ok"));
  t.match(client.text, /^HTTP\/1\.1 200 OK\r\n/);
  client.socket.destroy();
});
