import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t, { type Test } from "tap";
import { newId } from "../engine-under-test.ts";
import { MemoryKills } from "./memory-kills.ts";

const no = async () => false;
const killed = 137;

async function machine(t: Test) {
  const proc = await mkdtemp(join(tmpdir(), "proc-"));
  t.teardown(() => rm(proc, { recursive: true, force: true }));
  const count = (kills: number) => writeFile(join(proc, "vmstat"), `nr_free_pages 1\noom_kill ${kills}\n`);
  await count(5);
  return { kills: new MemoryKills({ proc, cgroup: "" }), count, proc };
}

t.test("a kill that the daemon tells is the sandbox's until its next start", async (t) => {
  const { kills } = await machine(t);
  const id = newId();
  kills.onStart(id);
  kills.onOutOfMemory(id);
  await kills.onEnd(id, killed, no);
  t.ok(kills.has(id));
  kills.onStart(id);
  t.notOk(kills.has(id));
});

t.test("a kill that the daemon does not tell is in the kernel's count", async (t) => {
  const { kills, count } = await machine(t);
  const [hungry, ended] = [newId(), newId()];
  kills.onStart(hungry);
  kills.onStart(ended);
  await count(6);
  await kills.onEnd(hungry, killed, no);
  t.ok(kills.has(hungry));
  await kills.onEnd(ended, killed, no);
  t.notOk(kills.has(ended), "one kill explains one end");
});

t.test("a kill from before a run says nothing of it", async (t) => {
  const { kills, count } = await machine(t);
  const id = newId();
  await count(6);
  kills.onStart(id);
  await kills.onEnd(id, killed, no);
  t.notOk(kills.has(id));
});

t.test("an end that a call asked for, and one that was no kill, are not the kernel's", async (t) => {
  const { kills, count } = await machine(t);
  const [asked, asked15, failed] = [newId(), newId(), newId()];
  for (const id of [asked, asked15, failed]) kills.onStart(id);
  await count(6);
  kills.onKill(asked, "9");
  await kills.onEnd(asked, killed, no);
  await kills.onEnd(failed, 1, no);
  t.notOk(kills.has(asked));
  t.notOk(kills.has(failed));
  kills.onKill(asked15, "15");
  await kills.onEnd(asked15, killed, no);
  t.ok(kills.has(asked15), "another signal ends nothing by 137");
});

t.test("without a count the container is asked", async (t) => {
  const { proc } = await machine(t);
  const kills = new MemoryKills({ proc: join(proc, "absent"), cgroup: "" });
  const [told, untold] = [newId(), newId()];
  await kills.onEnd(told, killed, async () => true);
  await kills.onEnd(untold, killed, no);
  t.ok(kills.has(told));
  t.notOk(kills.has(untold));
});
