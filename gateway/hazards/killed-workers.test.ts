import type { Socket } from "node:net";
import t from "tap";
import { formatPreviewHost } from "#contract/preview-host.ts";
import { expectServedBy, GatewayProcess, get, needsProc } from "./gateway-process.ts";
import { answering, domain, eventually, newId, okApp, RawClient, routeTo, startApp } from "./test-gateway.ts";

const switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

t.test("superviseWorkers() replaces a worker that was killed, and serves meanwhile", needsProc, async (t) => {
  const gateway = await GatewayProcess.start(t);
  const route = routeTo(newId(), await okApp(t));
  gateway.control.publish(route);
  const port = await gateway.listening();
  const host = `s-${route.id.toLowerCase()}-3000.preview.${domain}`;
  const [first] = gateway.workers;
  process.kill(first!, "SIGKILL");
  await eventually(() => !gateway.workers.includes(first!), "it is gone");
  t.match(await new RawClient(port).send(get(host)).whole(), /^HTTP\/1\.1 200 OK\r\n/);
  await eventually(() => gateway.workerIds.size === 3, "another one watches the routes");
  await expectServedBy(t, gateway, port, host, 2);
  t.equal(gateway.lines.filter(({ msg }) => msg === "listening").length, 1, "whoever waits for it is told once");
  t.ok(gateway.lines.some(({ msg, signal }) => /worker ended/.test(msg ?? "") && signal === "SIGKILL"));
  const ended = gateway.ended();
  gateway.signal("SIGTERM");
  t.equal(await ended, 0);
});

t.test(
  "superviseWorkers() goes on when the worker in place of a killed one is killed as it starts",
  needsProc,
  async (t) => {
    const gateway = await GatewayProcess.start(t);
    const route = routeTo(newId(), await okApp(t));
    gateway.control.publish(route);
    const port = await gateway.listening();
    const before = gateway.workers;
    process.kill(before[0]!, "SIGKILL");
    const next = () => gateway.workers.find((pid) => !before.includes(pid));
    await eventually(() => next() !== undefined, "another one is started");
    process.kill(next()!, "SIGKILL");
    await eventually(() => gateway.workerIds.size === 3, "and another one");
    const host = `s-${route.id.toLowerCase()}-3000.preview.${domain}`;
    await expectServedBy(t, gateway, port, host, 2);
    const ended = gateway.ended();
    gateway.signal("SIGTERM");
    t.equal(await ended, 0);
  },
);

t.test(
  "superviseWorkers() leaves no connection hanging that was on its way to a killed worker",
  needsProc,
  async (t) => {
    const gateway = await GatewayProcess.start(t);
    const route = routeTo(newId(), await okApp(t));
    gateway.control.publish(route);
    const port = await gateway.listening();
    const host = `s-${route.id.toLowerCase()}-3000.preview.${domain}`;
    await expectServedBy(t, gateway, port, host, 2);
    const [stuck] = gateway.workers;
    process.kill(stuck!, "SIGSTOP");
    const clients = Array.from({ length: 8 }, () => new RawClient(port).send(get(host)).whole());
    await Promise.any(clients);
    process.kill(stuck!, "SIGKILL");
    const texts = await Promise.all(clients);
    t.ok(texts.every((text) => text === "" || text.startsWith("HTTP/1.1 200 OK\r\n")));
  },
);

t.test("superviseWorkers() comes back at the same port when all of its workers were killed", needsProc, async (t) => {
  const gateway = await GatewayProcess.start(t);
  const route = routeTo(newId(), await okApp(t));
  gateway.control.publish(route);
  const port = await gateway.listening();
  await eventually(() => gateway.workerIds.size === 2, "both watch the routes");
  for (const pid of gateway.workers) process.kill(pid, "SIGKILL");
  await eventually(() => gateway.workerIds.size === 4, "two others watch the routes");
  await expectServedBy(t, gateway, port, `s-${route.id.toLowerCase()}-3000.preview.${domain}`, 2);
});

t.test("superviseWorkers() ends cleanly when no worker is left to wait for", needsProc, async (t) => {
  const gateway = await GatewayProcess.start(t);
  await gateway.listening();
  for (const pid of gateway.workers) process.kill(pid, "SIGKILL");
  await eventually(() => gateway.lines.filter(({ level }) => level === 50).length === 2, "both are missed");
  const ended = gateway.ended();
  gateway.signal("SIGTERM");
  t.equal(await ended, 0);
});

t.test("a worker that dies takes its own connections with it and no others, and its lease", needsProc, async (t) => {
  const gateway = await GatewayProcess.start(t);
  const apps: Socket[] = [];
  const app = await startApp(
    t,
    answering((_, socket) => {
      apps.push(socket);
      socket.removeAllListeners("data");
      socket.pipe(socket);
      socket.once("end", () => socket.end());
      return switching;
    }),
  );
  const route = routeTo(newId(), app);
  gateway.control.publish(route);
  const port = await gateway.listening();
  const host = formatPreviewHost(route.id, 3000, domain);
  const clients: RawClient[] = [];
  t.teardown(() => {
    for (const { socket } of clients) socket.destroy();
  });
  /** How many sockets each worker says that it has open, by its id. */
  const open = () => {
    const latest = new Map<string, number>();
    for (const { worker, sandboxes } of gateway.control.reports) latest.set(worker, sandboxes[0]?.openSockets ?? 0);
    return latest;
  };
  const total = () => [...open().values()].reduce((sum, count) => sum + count, 0);
  // An odd number, so that the dead one can be told from the other by how many it had.
  const isEnough = () => clients.length % 2 === 1 && [...open().values()].filter((count) => count > 0).length === 2;
  while (clients.length < 9 || !isEnough()) {
    const client = new RawClient(port);
    client.send(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`);
    await client.until(({ text }) => text.endsWith("\r\n\r\n"));
    clients.push(client);
    await eventually(() => total() === clients.length, "each is counted");
  }
  const before = open();
  const [victim] = gateway.workers;
  process.kill(victim!, "SIGKILL");
  await eventually(() => clients.some(({ closed, ended }) => closed || ended), "its clients lose their connections");
  await eventually(() => gateway.workerIds.size === 3, "another worker takes its place, under a name of its own");
  const isOpen = ({ closed, ended }: RawClient) => !(closed || ended);
  const lost = clients.filter((client) => !isOpen(client)).length;
  t.ok([...before.values()].includes(lost), `${lost} of ${clients.length} are lost`);
  for (const client of clients.filter(isOpen)) {
    const length = client.length;
    client.send("still here");
    await client.until((each) => each.length === length + 10);
  }
  t.equal(clients.filter(isOpen).length, clients.length - lost, "all others live on");
  await eventually(() => apps.filter(({ destroyed }) => !destroyed).length === clients.length - lost, "the app knows");
  const [dead] = [...before].find(([, count]) => count === lost)!;
  const reports = gateway.control.reports.length;
  await eventually(() => gateway.control.reports.slice(reports).length > 20, "the others go on reporting");
  const reporting = new Set(gateway.control.reports.slice(reports).map(({ worker }) => worker));
  t.notOk(reporting.has(dead), "nobody renews the lease of the dead one");
});
