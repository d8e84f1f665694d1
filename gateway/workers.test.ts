import { once } from "node:events";
import { createServer } from "node:net";
import t from "tap";
import { expectServedBy, GatewayProcess, get } from "./hazards/gateway-process.ts";
import { answering, domain, newId, okApp, RawClient, routeTo, startApp } from "./hazards/test-gateway.ts";

t.test("superviseWorkers() says once where all of its workers listen, and each of them serves", async (t) => {
  const gateway = await GatewayProcess.start(t);
  const route = routeTo(newId(), await okApp(t));
  gateway.control.publish(route);
  const port = await gateway.listening();
  const host = `s-${route.id.toLowerCase()}-3000.preview.${domain}`;
  await expectServedBy(t, gateway, port, host, 2);
  t.equal(gateway.lines.filter(({ msg }) => msg === "listening").length, 1);
  t.match(
    gateway.lines.find(({ msg }) => msg === "listening"),
    { listener: "preview", address: `127.0.0.1:${port}` },
  );
  t.equal(gateway.workerIds.size, 2, "each under an id of its own");
  const ended = gateway.ended();
  gateway.signal("SIGTERM");
  t.equal(await ended, 0);
  t.equal(gateway.stderr, "");
});

t.test("superviseWorkers() shares its port with no other gateway", async (t) => {
  const port = await (await GatewayProcess.start(t)).listening();
  for (const workers of ["1", "2"]) {
    const bind = { GATEWAY_BIND: `127.0.0.1:${port}`, GATEWAY_WORKERS: workers };
    t.equal(await (await GatewayProcess.start(t, bind)).ended(), 1);
  }
});

t.test("SIGTERM and SIGINT let what is under way end, with one worker and with two", async (t) => {
  for (const [workers, signal] of [
    ["1", "SIGTERM"],
    ["2", "SIGINT"],
  ] as const) {
    const gateway = await GatewayProcess.start(t, { GATEWAY_WORKERS: workers });
    const reached = Promise.withResolvers<() => void>();
    const app = await startApp(
      t,
      answering(
        (_, socket) => void reached.resolve(() => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")),
      ),
    );
    const route = routeTo(newId(), app);
    gateway.control.publish(route);
    const port = await gateway.listening();
    const client = new RawClient(port).send(get(`s-${route.id.toLowerCase()}-3000.preview.${domain}`));
    const finish = await reached.promise;
    const ended = gateway.ended();
    gateway.signal(signal);
    finish();
    t.match(await client.whole(), /^HTTP\/1\.1 200 OK\r\n[\s\S]*ok$/);
    t.equal(await ended, 0, `${signal} to ${workers}`);
  }
});

t.test("SIGHUP is not the gateway's", async (t) => {
  const gateway = await GatewayProcess.start(t, { GATEWAY_WORKERS: "1" });
  await gateway.listening();
  const ended = gateway.ended();
  gateway.signal("SIGHUP");
  gateway.signal("SIGTERM");
  t.equal(await ended, 0);
});

t.test("main() names every bad variable, one a line, and exits with 2", async (t) => {
  const bad = {
    GATEWAY_BIND: "nowhere",
    GATEWAY_WORKERS: "0",
    SANDBOXD_HOLD_SECONDS: "1m",
    TRUSTED_PROXIES: "10.0.0.0/40",
  };
  const gateway = await GatewayProcess.start(t, bad);
  t.equal(await gateway.ended(), 2);
  t.strictSame(
    gateway.stderr
      .trimEnd()
      .split("\n")
      .map((line) => line.split(":", 1)[0])
      .sort(),
    Object.keys(bad).map((name) => `Cannot parse ${name}`),
  );
  t.equal(gateway.stdout, "");
});

t.test("main() says in one line that the port is taken, and exits with 1", async (t) => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => server.close());
  const address = `127.0.0.1:${(server.address() as { port: number }).port}`;
  for (const workers of ["1", "2"]) {
    const gateway = await GatewayProcess.start(t, { GATEWAY_BIND: address, GATEWAY_WORKERS: workers });
    t.equal(await gateway.ended(), 1, `${workers} workers`);
    t.match(gateway.stderr, /^[^\n]*\n$/, "one line");
    t.match(gateway.stderr, "GATEWAY_BIND");
    t.match(gateway.stderr, address);
  }
});

t.test("main() says in one line that an address is not this machine's, and exits with 1", async (t) => {
  // Nobody has an address of the documentation's (RFC 5737).
  for (const workers of ["1", "2"]) {
    const gateway = await GatewayProcess.start(t, { GATEWAY_BIND: "192.0.2.1:0", GATEWAY_WORKERS: workers });
    t.equal(await gateway.ended(), 1, `${workers} workers`);
    t.match(gateway.stderr, /^Cannot listen on 192\.0\.2\.1:0: [^\n]* Change GATEWAY_BIND\.\n$/);
  }
});
