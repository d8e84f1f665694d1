import t from "tap";
import { expectServedBy, GatewayProcess, get, needsProc } from "./gateway-process.ts";
import { domain, eventually, newId, okApp, RawClient, routeTo } from "./test-gateway.ts";

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
