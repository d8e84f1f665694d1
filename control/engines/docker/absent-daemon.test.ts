import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import t, { type Test } from "tap";
import { anySpec, newId, testSecrets, until } from "../engine-under-test.ts";
import type { EngineEvent } from "../sandbox-engine.ts";
import { openDockerEngine } from "./docker-engine.ts";

async function setUp(t: Test) {
  const dataDir = await mkdtemp(join(tmpdir(), "absent-daemon-"));
  t.teardown(() => rm(dataDir, { recursive: true, force: true }));
  const socketPath = join(dataDir, "docker.sock");
  const open = async () => {
    const engine = await openDockerEngine({
      socketPath,
      image: "none",
      network: "none",
      usernsMode: "",
      runtime: null,
      memoryHigh: false,
      diskQuota: "off",
      path: "",
      dataDir,
      hostDataDir: dataDir,
      labels: {},
      secrets: testSecrets,
      logger: pino({ level: "silent" }),
    });
    t.teardown(() => engine.close());
    return engine;
  };
  return { socketPath, open };
}

/** A daemon that can say its version and that it has no events, or as much of it as the test wants. */
async function daemon(
  t: Test,
  socketPath: string,
  answer: (request: IncomingMessage, response: ServerResponse) => boolean,
) {
  const seen: string[] = [];
  const server = createServer((request, response) => {
    seen.push(request.url!);
    if (answer(request, response)) return;
    if (request.url === "/version") {
      response.end(JSON.stringify({ ApiVersion: "1.43", MinAPIVersion: "1.12", Version: "24" }));
    } else if (request.url!.includes("/events?")) {
      response.flushHeaders();
    } else {
      response.writeHead(404).end(JSON.stringify({ message: "No such container" }));
    }
  });
  server.listen(socketPath);
  await once(server, "listening");
  const stop = () => {
    server.closeAllConnections();
    server.close();
  };
  t.teardown(stop);
  return { seen, stop };
}

t.test("every call says engine_unavailable while there is no daemon", async (t) => {
  const { open } = await setUp(t);
  const engine = await open();
  const id = newId();
  const calls: (() => Promise<unknown>)[] = [
    () => engine.ping(),
    () => engine.inspect(id),
    () => engine.list(),
    () => engine.ensure({ ...anySpec, id }),
    () => engine.setDesired(id, "running"),
    () => engine.setDesired(id, "stopped"),
    () => engine.remove(id, { workspace: false }),
    () => engine.capabilities(),
    () => engine.logs(id, {})[Symbol.asyncIterator]().next(),
  ];
  for (const call of calls) {
    await t.rejects(call() as Promise<void>, { name: "EngineError", code: "engine_unavailable" }, String(call));
  }
});

t.test("ping() gives a daemon that does not answer two seconds", async (t) => {
  const { open, socketPath } = await setUp(t);
  const engine = await open();
  await daemon(t, socketPath, (request) => request.url === "/_ping");
  const before = Date.now();
  await t.rejects(engine.ping(), { code: "engine_unavailable" });
  t.ok(Date.now() - before < 2_500);
});

t.test("calls use the older of both API versions", async (t) => {
  const { open, socketPath } = await setUp(t);
  const { seen } = await daemon(t, socketPath, () => false);
  const engine = await open();
  t.match(await engine.inspect(newId()), { state: "missing" });
  t.ok(seen.some((url) => url.startsWith("/v1.43/containers/s-")));
});

t.test("watch() says resync when events come again after a gap", async (t) => {
  const { open, socketPath } = await setUp(t);
  const first = await daemon(t, socketPath, () => false);
  const engine = await open();
  const events: EngineEvent[] = [];
  engine.watch((event) => events.push(event));
  t.same(events, []);
  first.stop();
  const id = newId();
  const die = { Action: "die", Actor: { Attributes: { "sandboxed.id": id, exitCode: "3" } } };
  await daemon(t, socketPath, (request, response) => {
    if (!request.url!.includes("/events?")) return false;
    response.write(`${JSON.stringify({ Action: "die", Actor: { Attributes: {} } })}\n${JSON.stringify(die)}\n`);
    return true;
  });
  await until("both events", () => events.length === 2);
  t.same(events, [{ type: "resync" }, { type: "ended", id, exit: { code: 3, signal: null, outOfMemory: false } }]);
});

t.test("watch() asks the container when the word that memory ran out comes late", async (t) => {
  const { open, socketPath } = await setUp(t);
  const id = newId();
  const die = { Action: "die", Actor: { Attributes: { "sandboxed.id": id, exitCode: "137" } } };
  let stream: ServerResponse | undefined;
  await daemon(t, socketPath, (request, response) => {
    if (request.url!.includes("/events?")) {
      stream = response;
      response.flushHeaders();
      return true;
    }
    if (!request.url!.includes(`/containers/s-${id.toLowerCase()}/json`)) return false;
    response.setHeader("Content-Type", "application/json").end(JSON.stringify({ State: { OOMKilled: true } }));
    return true;
  });
  const engine = await open();
  const events: EngineEvent[] = [];
  engine.watch((event) => events.push(event));
  stream!.write(`${JSON.stringify(die)}\n`);
  await until("the end", () => events.length > 0);
  t.same(events, [{ type: "ended", id, exit: { code: null, signal: "SIGKILL", outOfMemory: true } }]);
});
