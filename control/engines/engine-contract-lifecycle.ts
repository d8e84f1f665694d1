import type { Test } from "tap";
import {
  type ContractSetup,
  counterProgram,
  type EngineUnderTest,
  firstEnd,
  get,
  serverProgram,
  texts,
  until,
} from "./engine-under-test.ts";

const ignoreTerm = `process.on("SIGTERM", () => console.log("ignored"));${serverProgram}`;
/** A child that says when it got SIGTERM, and a parent that takes no notice. */
const withPoliteChild = `
  process.on("SIGTERM", () => {});
  require("node:child_process").spawn(process.execPath, ["-e",
    'process.on("SIGTERM", () => { console.log("saved"); process.exit() }); console.log("ready"); setInterval(() => {}, 1000)'],
    { stdio: "inherit" });
  setInterval(() => {}, 1000);
`;
/** A child that ignores SIGTERM as well, and says its pid. */
const withChild = `
  const child = require("node:child_process").spawn(process.execPath, ["-e",
    'process.on("SIGTERM", () => {}); console.log("child " + process.pid); setInterval(() => {}, 1000)'],
    { stdio: "inherit" });
  setInterval(() => {}, 1000);
`;
/** How sandboxes start, stop and end. */
export function lifecycleContract(t: Test, setup: ContractSetup, subject: EngineUnderTest): void {
  ensureContract(t, setup, subject);
  endContract(t, setup, subject);
  stopContract(t, setup);
}

function ensureContract(t: Test, setup: ContractSetup, { absentCommand }: EngineUnderTest): void {
  t.test("ensure() of the same specification changes nothing", async (t) => {
    const { engine, spec, start } = await setup(t);
    const server = spec(serverProgram);
    await engine.ensure(server);
    t.match(await engine.inspect(server.id), { state: "exited", exit: null, startedAt: null, endpoints: [] });
    await start(server);
    const before = await engine.inspect(server.id);
    await start({ ...server, env: { ...server.env } });
    t.same(await engine.inspect(server.id), before);
  });

  t.test("ensure() of another specification ends the run and keeps the workspace", async (t) => {
    const { engine, spec, start, events } = await setup(t);
    const first = spec(counterProgram);
    await start(first);
    await until("the first run", async () => (await texts(engine.logs(first.id, {}))).includes("run 1"));
    await engine.ensure({ ...first, env: { COLOR: "blue" } });
    t.match(await engine.inspect(first.id), { state: "exited", endpoints: [] });
    await firstEnd(events);
    await engine.setDesired(first.id, "running");
    await until("the second run", async () => (await texts(engine.logs(first.id, {}))).includes("run 2"));
  });

  t.test("secrets are opened for the app, and one that cannot be is no start", async (t) => {
    const { engine, spec, start } = await setup(t);
    const server = spec(serverProgram, { env: { PLAIN: "seen" }, sealedEnv: { TOKEN: "sealed value" } });
    await start(server);
    const { endpoints } = await engine.inspect(server.id);
    t.match((await get(endpoints[0])).env, { PLAIN: "seen", TOKEN: "value" });
    const broken = spec(serverProgram, { sealedEnv: { TOKEN: "no such thing" } });
    await t.rejects(start(broken), { code: "start_failed", message: /TOKEN/ });
  });

  t.test("setDesired() runs, stops and runs again, with one event each", async (t) => {
    const { engine, spec, events } = await setup(t);
    const server = spec(serverProgram, { ports: [3000, 8080] });
    await engine.ensure(server);
    const first = await engine.setDesired(server.id, "running");
    t.match(first, { id: server.id, state: "running", exit: null });
    t.ok(Math.abs(first.startedAt! - Date.now()) < 10_000);
    t.same(
      first.endpoints.map(({ port }) => port),
      [3000, 8080],
    );
    t.same(await engine.setDesired(server.id, "running"), first);
    await get(first.endpoints[0]);

    const stopped = await engine.setDesired(server.id, "stopped", { graceSeconds: 5 });
    t.match(stopped, { state: "exited", startedAt: null, endpoints: [], exit: { signal: "SIGTERM", code: null } });
    t.same(await engine.setDesired(server.id, "stopped"), stopped);

    const second = await engine.setDesired(server.id, "running");
    t.match(second, { state: "running", exit: null });
    t.ok(second.startedAt! > first.startedAt!);
    await get(second.endpoints[0]);
    await until("three events", () => events.length >= 3);
    t.same(
      events.map(({ type }) => type),
      ["started", "ended", "started"],
    );
  });

  t.test("a command that is not there fails at the start or ends at once", async (t) => {
    const { engine, spec, events } = await setup(t);
    const broken = spec("", { cmd: ["./no-such-program"] });
    await engine.ensure(broken);
    const starting = engine.setDesired(broken.id, "running");
    if (absentCommand === "start_failed") {
      await t.rejects(starting, { name: "EngineError", code: "start_failed" });
      t.match(await engine.inspect(broken.id), { state: "exited", exit: null, endpoints: [] });
      t.same(events, []);
      return;
    }
    await starting;
    await firstEnd(events);
    t.match(await engine.inspect(broken.id), { state: "exited", exit: { code: 127 }, endpoints: [] });
  });
}

function endContract(t: Test, setup: ContractSetup, { noticeMs }: EngineUnderTest): void {
  t.test("watch() tells the exit code at once, and inspect() remembers it", async (t) => {
    const { engine, spec, start, events } = await setup(t);
    const server = spec(serverProgram);
    await start(server);
    const { endpoints } = await engine.inspect(server.id);
    await get(endpoints[0]);
    // Once: whoever has the address next must not be asked to end.
    fetch(`http://${endpoints[0]!.address}:${endpoints[0]!.upstreamPort}/exit`).catch(() => {});
    const exit = { code: 7, signal: null, outOfMemory: false };
    const ended = await firstEnd(events, noticeMs);
    t.same(ended, { type: "ended", id: server.id, exit });
    t.match(await engine.inspect(server.id), { state: "exited", exit, endpoints: [], startedAt: null });
    t.match(await engine.setDesired(server.id, "running"), { state: "running", exit: null });
  });

  t.test("watch() tells a SIGKILL of the main process at once", async (t) => {
    const { engine, spec, start, events } = await setup(t);
    const server = spec(serverProgram);
    await start(server);
    const { runtime, endpoints } = await engine.inspect(server.id);
    await get(endpoints[0]);
    process.kill(Number(runtime.pid), "SIGKILL");
    const exit = { code: null, signal: "SIGKILL", outOfMemory: false };
    const ended = await firstEnd(events, noticeMs);
    t.same(ended, { type: "ended", id: server.id, exit });
    t.match(await engine.inspect(server.id), { state: "exited", exit });
  });

  t.test("watch() says nothing more once it is ended", async (t) => {
    const { engine, spec, start, events } = await setup(t);
    const seen: string[] = [];
    const end = engine.watch(({ type }) => seen.push(type));
    const server = spec(serverProgram);
    await start(server);
    await until("the start", () => seen.length === 1 && events.length === 1);
    end();
    await engine.setDesired(server.id, "stopped", { graceSeconds: 5 });
    await until("the end", () => events.length === 2);
    t.same(seen, ["started"]);
  });
}

function stopContract(t: Test, setup: ContractSetup): void {
  t.test("setDesired() sends SIGTERM and, when the grace is over, SIGKILL", async (t) => {
    const { engine, spec, start } = await setup(t);
    const stubborn = spec(ignoreTerm);
    await start(stubborn);
    await get((await engine.inspect(stubborn.id)).endpoints[0]);
    const before = Date.now();
    const { exit } = await engine.setDesired(stubborn.id, "stopped", { graceSeconds: 1 });
    t.ok(Date.now() - before >= 950, "the grace was given");
    t.match(exit, { code: null, signal: "SIGKILL" });
    t.ok((await texts(engine.logs(stubborn.id, {}))).includes("ignored"));
  });

  t.test("setDesired() sends SIGTERM to children too", async (t) => {
    const { engine, spec, start } = await setup(t);
    const parent = spec(withPoliteChild);
    await start(parent);
    await until("the child", async () => (await texts(engine.logs(parent.id, {}))).includes("ready"));
    await engine.setDesired(parent.id, "stopped", { graceSeconds: 1 });
    t.same(await texts(engine.logs(parent.id, {})), ["ready", "saved"]);
  });

  t.test("setDesired() ends the whole process tree", async (t) => {
    const { engine, spec, start } = await setup(t);
    const parent = spec(withChild);
    await start(parent);
    await until("the child", async () => (await texts(engine.logs(parent.id, {})))[0]?.startsWith("child "));
    await engine.setDesired(parent.id, "stopped", { graceSeconds: 1 });
    t.same(await engine.listeners(parent.id), { reachable: [], loopbackOnly: [] });
    const { state, endpoints } = await engine.inspect(parent.id);
    t.same({ state, endpoints }, { state: "exited", endpoints: [] });
  });
}
