import { access } from "node:fs/promises";
import { join } from "node:path";
import type { Test } from "tap";
import type { SandboxId } from "#contract/sandbox-id.ts";
import {
  type ContractSetup,
  counterProgram,
  firstEnd,
  get,
  newId,
  serverProgram,
  texts,
  until,
} from "./engine-under-test.ts";
import type { EngineState } from "./sandbox-engine.ts";

/** How sandboxes go away, stand beside each other and pause. */
export function removalContract(t: Test, setup: ContractSetup): void {
  removeContract(t, setup);
  neighbourContract(t, setup);
  pauseContract(t, setup);
  memoryContract(t, setup);
}

function removeContract(t: Test, setup: ContractSetup): void {
  t.test("remove() keeps the workspace, or deletes it when told", async (t) => {
    const { engine, dataDir, spec, start } = await setup(t);
    const keeper = spec(counterProgram);
    const logged = (line: string) => async () => (await texts(engine.logs(keeper.id, {}))).includes(line);
    await start(keeper);
    await until("the first run", logged("run 1"));
    await engine.remove(keeper.id, { workspace: false });
    t.match(await engine.inspect(keeper.id), { state: "missing", exit: null, endpoints: [] });
    t.same(await engine.list(), []);

    await start(keeper);
    await until("the second run", logged("run 2"));
    t.same(await texts(engine.logs(keeper.id, {})), ["run 2"], "the log went with the sandbox");
    await engine.remove(keeper.id, { workspace: true });
    await t.rejects(access(join(dataDir, "workspaces", keeper.id)), { code: "ENOENT" });
    await engine.remove(keeper.id, { workspace: true });
  });

  t.test("remove() deletes a workspace whose end no path reaches", async (t) => {
    const { engine, dataDir, spec, start } = await setup(t);
    const digger = spec(`
      for (let n = 0; n < 600; n++) { fs.mkdirSync("dddddddddd"); process.chdir("dddddddddd"); }
      console.log("dug");
      setInterval(() => {}, 1000);
    `);
    await start(digger);
    await until("the end of the tree", async () => (await texts(engine.logs(digger.id, {}))).includes("dug"));
    await engine.remove(digger.id, { workspace: true });
    await t.rejects(access(join(dataDir, "workspaces", digger.id)), { code: "ENOENT" });
  });

  t.test("an id that the engine does not hold is missing everywhere", async (t) => {
    const { engine } = await setup(t);
    const id = newId();
    await engine.ping();
    t.match(await engine.inspect(id), { id, state: "missing" });
    t.match(await engine.setDesired(id, "stopped"), { id, state: "missing" });
    t.same(await engine.listeners(id), { reachable: [], loopbackOnly: [] });
    t.same(await texts(engine.logs(id, { follow: true })), []);
    await engine.remove(id, { workspace: false });
    await t.rejects(engine.setDesired(id, "running"), { name: "EngineError", code: "start_failed" });
  });
}

function neighbourContract(t: Test, setup: ContractSetup): void {
  t.test("two sandboxes do not disturb each other", async (t) => {
    const { engine, spec, start, events } = await setup(t);
    const [one, two] = [spec(serverProgram), spec(serverProgram)];
    await Promise.all([start(one), start(two)]);
    const before = await engine.inspect(two.id);
    t.not((await get((await engine.inspect(one.id)).endpoints[0])).cwd, undefined);
    const { pid } = await get(before.endpoints[0]);
    t.same(ids(await engine.list()), [one.id, two.id].sort());

    await engine.setDesired(one.id, "stopped", { graceSeconds: 5 });
    t.same(await engine.inspect(two.id), before);
    t.equal((await get(before.endpoints[0])).pid, pid);
    await engine.remove(one.id, { workspace: true });
    t.same(ids(await engine.list()), [two.id]);
    t.equal((await get(before.endpoints[0])).pid, pid);
    t.notOk(events.some((event) => event.type === "ended" && event.id === two.id));
  });
}

function pauseContract(t: Test, setup: ContractSetup): void {
  t.test("setDesired() pauses and goes on where it was", async (t) => {
    const { engine, spec, start, events } = await setup(t);
    if (!(await engine.capabilities()).pause) return;
    const server = spec(serverProgram);
    await start(server);
    const running = await engine.inspect(server.id);
    const { pid } = await get(running.endpoints[0]);
    t.same(await engine.setDesired(server.id, "paused"), { ...running, state: "paused" });
    const { address, upstreamPort } = running.endpoints[0]!;
    const held = fetch(`http://${address}:${upstreamPort}/`).then((response) => response.json());
    t.equal(await Promise.race([held, engine.ping().then(() => "no answer while paused")]), "no answer while paused");
    t.same(await engine.setDesired(server.id, "running"), running);
    t.match(await held, { pid });
    await engine.setDesired(server.id, "paused");
    const { exit } = await engine.setDesired(server.id, "stopped", { graceSeconds: 5 });
    t.match(exit, { signal: "SIGTERM" });
    await firstEnd(events);
  });
}

function memoryContract(t: Test, setup: ContractSetup): void {
  t.test("usage() tells what a sandbox occupies, paused or not", async (t) => {
    const { engine, spec, start } = await setup(t);
    const memoryBytes = async (id: SandboxId) => (await engine.usage(id)).memory.usedBytes;
    const [small, large] = [spec(serverProgram), spec(`const held = Buffer.alloc(64e6, 1);${serverProgram}`)];
    t.equal(await memoryBytes(newId()), null);
    await engine.ensure(small);
    t.equal(await memoryBytes(small.id), null);
    await Promise.all([start(small), start(large)]);
    for (const { id } of [small, large]) await get((await engine.inspect(id)).endpoints[0]);
    const [less, more] = [await memoryBytes(small.id), await memoryBytes(large.id)];
    t.ok(less !== null && less > 1e6 && less < 1e9, `${less}`);
    t.ok(more! - less! > 50e6, `${more} and ${less}`);
    if (!(await engine.capabilities()).pause) return;
    await engine.setDesired(large.id, "paused");
    t.ok((await memoryBytes(large.id))! > 50e6);
  });

  t.test("a paused sandbox shows its log, and goes on after its memory was taken back", async (t) => {
    const { engine, spec, start } = await setup(t);
    const { pause, reclaim } = await engine.capabilities();
    if (!pause) return;
    const server = spec(serverProgram);
    await start(server);
    const { endpoints } = await engine.inspect(server.id);
    const { pid } = await get(endpoints[0]);
    await engine.setDesired(server.id, "paused");
    t.same(await texts(engine.logs(server.id, {})), ["listening"]);
    if (reclaim) await engine.reclaim(server.id);
    else await t.rejects(engine.reclaim(server.id), { name: "EngineError", code: "unsupported" });
    t.match(await engine.inspect(server.id), { state: "paused" });
    await engine.setDesired(server.id, "running");
    t.equal((await get(endpoints[0])).pid, pid);
  });
}

const ids = (states: readonly EngineState[]) => states.map(({ id }) => id).sort();
