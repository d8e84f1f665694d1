import type { Test } from "tap";
import { type ContractSetup, type EngineUnderTest, get, serverProgram, texts, until } from "./engine-under-test.ts";
import type { LogLine } from "./sandbox-engine.ts";

const chatter = `
  console.log("out 1");
  setTimeout(() => console.error("err 1"), 30);
  setTimeout(() => { console.log("out 2"); process.stdout.write("no end"); process.exitCode = 0; }, 60);
`;
const endlessCount = `let n = 0; setInterval(() => console.log("tick " + n++), 5);`;

/** What a sandbox shows: its environment, its ports, its log. */
export function outputContract(t: Test, setup: ContractSetup, subject: EngineUnderTest): void {
  environmentContract(t, setup, subject);
  logContract(t, setup);

  t.test("listeners() tells the ports that are really bound", async (t) => {
    const { engine, spec, start } = await setup(t);
    const server = spec(
      `${serverProgram}require("node:net").createServer().listen(Number(process.env.PORT_8080), process.env.HOST);`,
      { ports: [3000, 8080, 9090] },
    );
    await engine.ensure(server);
    t.same(await engine.listeners(server.id), { reachable: [], loopbackOnly: [] });
    await start(server);
    const { endpoints } = await engine.inspect(server.id);
    await get(endpoints[0]);
    const bound = endpoints.slice(0, 2).map(({ upstreamPort }) => upstreamPort);
    const expected = { reachable: bound.sort((a, b) => a - b), loopbackOnly: [] };
    await until("both ports", async () => (await engine.listeners(server.id)).reachable.length === 2);
    t.same(await engine.listeners(server.id), expected);
  });
}

function environmentContract(t: Test, setup: ContractSetup, { home, host }: EngineUnderTest): void {
  t.test("a sandbox finds its ports in its environment, and nothing of control's", async (t) => {
    const { engine, dataDir, spec, start } = await setup(t);
    process.env.ENGINE_CONTRACT_SECRET = "of control";
    t.teardown(() => delete process.env.ENGINE_CONTRACT_SECRET);
    const env = { COLOR: "blue", PORT: "1", EMPTY: "", EQUALS: "a=b\nc" };
    const server = spec(serverProgram, { ports: [3000, 8080], env });
    await start(server);
    const { endpoints } = await engine.inspect(server.id);
    const seen = await get(endpoints[0]);
    const [first, second] = endpoints.map(({ upstreamPort }) => String(upstreamPort));
    t.match(seen.env, { COLOR: "blue", EMPTY: "", EQUALS: "a=b\nc", HOST: host });
    t.match(seen.env, { PORT: first!, PORT_3000: first!, PORT_8080: second! });
    t.equal(seen.env.HOME, home(dataDir, server.id));
    t.ok(seen.env.PATH);
    t.equal(seen.env.ENGINE_CONTRACT_SECRET, undefined);
    t.ok(seen.cwd.endsWith("/workspace/app"));
  });
}

function logContract(t: Test, setup: ContractSetup): void {
  t.test("logs() ends with the sandbox that it follows, though another takes its place", async (t) => {
    const { engine, spec, start } = await setup(t);
    const server = spec(serverProgram);
    await start(server);
    const seen: string[] = [];
    const following = (async () => {
      for await (const { line } of engine.logs(server.id, { follow: true })) seen.push(line);
    })();
    await until("the first line", () => seen.length === 1);
    await start({ ...server, env: { COLOR: "blue" } });
    await following;
    t.same(seen, ["listening"]);
  });

  t.test("logs() keeps what each stream said, with its time, over the end", async (t) => {
    const { engine, spec, start, events } = await setup(t);
    const before = Date.now();
    const talker = spec(chatter);
    await start(talker);
    await until("the end", () => events.some(({ type }) => type === "ended"));
    const lines: LogLine[] = [];
    for await (const line of engine.logs(talker.id, {})) lines.push(line);
    t.same(lines.map(({ stream, line }) => `${stream}: ${line}`).sort(), [
      "stderr: err 1",
      "stdout: no end",
      "stdout: out 1",
      "stdout: out 2",
    ]);
    t.ok(lines.every(({ time }) => time >= before - 1_000 && time <= Date.now() + 1_000));
    t.equal((await texts(engine.logs(talker.id, { tail: 2 }))).length, 2);
    t.same(await texts(engine.logs(talker.id, { tail: 0 })), []);
  });

  t.test("logs() follows until the signal aborts", async (t) => {
    const { engine, spec, start } = await setup(t);
    const ticker = spec(endlessCount);
    await start(ticker);
    await until("some ticks", async () => (await texts(engine.logs(ticker.id, {}))).length >= 3);
    const abort = new AbortController();
    const seen: string[] = [];
    for await (const { line } of engine.logs(ticker.id, { tail: 1, follow: true, signal: abort.signal })) {
      seen.push(line);
      if (seen.length === 20) abort.abort();
    }
    const first = Number(seen[0]!.slice("tick ".length));
    t.same(
      seen.slice(0, 20),
      Array.from({ length: 20 }, (_, index) => `tick ${first + index}`),
      "no line is missing, none comes twice",
    );
  });

  t.test("logs() follows over a restart and ends when the sandbox is removed", async (t) => {
    const { engine, spec, start } = await setup(t);
    const server = spec(`console.log("here");${serverProgram}`);
    await start(server);
    await get((await engine.inspect(server.id)).endpoints[0]);
    const seen: string[] = [];
    const following = (async () => {
      for await (const { line } of engine.logs(server.id, { follow: true })) seen.push(line);
    })();
    await until("the first run", () => seen.length === 2);
    await engine.setDesired(server.id, "stopped", { graceSeconds: 5 });
    await engine.setDesired(server.id, "running");
    await until("the second run", () => seen.length === 4);
    await engine.remove(server.id, { workspace: true });
    await following;
    t.same(seen, ["here", "listening", "here", "listening"]);
  });
}
