/** Isolation as it is from inside: an attacker's program runs in a sandbox and tells what came of each attempt. */
import { readFile } from "node:fs/promises";
import t from "tap";
import { missingPart } from "../../../e2e/parts/parts.ts";
import { type ContractTest, serverProgram, setUp, texts, until } from "../engine-under-test.ts";
import type { SandboxSpec } from "../sandbox-engine.ts";
import { openDockerEngine } from "./docker-engine.ts";
import { dockerTest } from "./docker-test.ts";

const attacker = await readFile(new URL("fixtures/attacker.cjs", import.meta.url), "utf8");
const refused = /^(EPERM|EACCES|EROFS|ENOENT|refused)$/;

/** What each attempt must come to. */
const outcomes: Readonly<Record<string, unknown>> = {
  "be somebody": [1000, 1000, []],
  "hold a capability": ["0000000000000000"],
  "gain privileges by a program": ["1"],
  "call any system call": ["2"],
  "become root": refused,
  "become root of an own user namespace": refused,
  "mount something": refused,
  "make the root writable": refused,
  "make a device": refused,
  "change the root": refused,
  "change the host's name": refused,
  "set the clock": refused,
  "see a process of others": [],
  "find a device of the host": [],
  "find the engine": [],
  "find a directory of the host": [],
  "name a program that the kernel runs": refused,
  "reboot by a key": refused,
  "read the kernel's memory": /^(0|EACCES|EPERM|ENOENT)$/,
  "read the kernel's keys": "",
  "lift its own limits": refused,
  "have a release agent run": refused,
  "write to the image": [],
  "leave by a symbolic link": refused,
};

t.test("an attacker in a sandbox", { skip: missingPart("images") }, async (t) => {
  const config = await dockerTest(t);
  const makeEngine = async (t: Parameters<typeof setUp>[0], dataDir: string) => {
    const engine = await openDockerEngine({ ...config, dataDir, hostDataDir: dataDir });
    t.teardown(() => engine.close());
    return engine;
  };
  const subject = { makeEngine, node: "node", home: () => "", host: "0.0.0.0", noticeMs: 5_000 } as const;
  const open = (t: Parameters<typeof setUp>[0]) => setUp(t, { ...subject, absentCommand: "exit 127" });

  t.test("gains nothing, and finds nothing of the host", async (t) => {
    const it = await open(t);
    const report = await attack(it, it.spec(attacker));
    for (const [attempt, outcome] of Object.entries(outcomes)) {
      if (outcome instanceof RegExp) t.match(report[attempt], outcome, attempt);
      else t.same(report[attempt], outcome, attempt);
    }
  });

  t.test("reaches no sibling", async (t) => {
    const it = await open(t);
    const sibling = it.spec(serverProgram);
    await it.start(sibling);
    await until("the sibling", async () => (await texts(it.engine.logs(sibling.id, {}))).includes("listening"));
    const { endpoints } = await it.engine.inspect(sibling.id);
    const target = `${endpoints[0]!.address}|3000`;
    const report = await attack(it, it.spec(attacker, { env: { TARGETS: target } }));
    t.match(report[target], /^(silence|EHOSTUNREACH|ECONNREFUSED|ENETUNREACH)$/);
  });

  t.test("starts so many processes and no more, while its sibling goes on", async (t) => {
    const it = await open(t);
    const sibling = it.spec(serverProgram);
    await it.start(sibling);
    const { endpoints } = await it.engine.inspect(sibling.id);
    const bomb = `
      const { spawn } = require("node:child_process");
      const all = [];
      (function more() {
        const child = spawn("sleep", ["1000"], { stdio: "ignore" });
        child.once("error", ({ code }) => {
          console.log(JSON.stringify(["processes", all.length]));
          console.log(JSON.stringify(["refusal", code]));
          console.log(JSON.stringify(["over", true]));
        });
        child.once("spawn", () => { all.push(child); more(); });
      })();
      setInterval(() => {}, 1000);`;
    const report = await attack(it, it.spec(bomb, { memoryMaxBytes: 1024 * 2 ** 20 }));
    t.equal(report.refusal, "EAGAIN");
    t.ok(Number(report.processes) > 900 && Number(report.processes) < 1024, `${report.processes} processes`);
    const answer = await fetch(`http://${endpoints[0]!.address}:3000/`, { headers: { connection: "close" } });
    t.equal(answer.status, 200);
    await answer.text();
  });
});

/** Runs a program that reports in lines of JSON until `over`. */
async function attack({ engine, start }: ContractTest, spec: SandboxSpec): Promise<Record<string, unknown>> {
  await start(spec);
  const report = async () => {
    const lines = await texts(engine.logs(spec.id, {}));
    return Object.fromEntries(lines.map((line) => JSON.parse(line) as [string, unknown])) as Record<string, unknown>;
  };
  return await until("the end of the attack", async () => {
    const so = await report();
    return so.over === true ? so : undefined;
  });
}
