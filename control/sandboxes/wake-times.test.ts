import t from "tap";
import { fixture, running } from "../testing/fixture.ts";
import { stopSandbox } from "./stop-sandbox.ts";
import { wakeSandbox } from "./wake-sandbox.ts";
import { WakeTimes } from "./wake-times.ts";

t.test("WakeTimes.time() counts work however it ends", async (t) => {
  const times = new WakeTimes();
  await t.rejects(times.time("start", () => Promise.reject(new Error("no"))));
  times.add("start", 3);
  t.ok(times.spent("start") >= 3);
  t.equal(times.spent("lock"), 0);
});

t.test("a wake counts what it waited for: its lock and its engine", async (t) => {
  const it = fixture(t);
  const { id } = await running(it);
  const stop = { cause: "operator", mode: "stop", drain: "force" } as const;
  await stopSandbox(it.use, id, stop);
  const before = it.engine.hold("ensure");
  const woken = wakeSandbox(it.use, id, { cause: "request" });
  await before.begun;
  const since = performance.now();
  while (performance.now() - since < 20);
  before.release();
  await woken;
  const sum = async (phase: string) => {
    const text = await it.metrics.registry.metrics();
    return Number(new RegExp(`^sandboxd_wake_wait_seconds_sum\\{wait="${phase}"\\} (.*)$`, "m").exec(text)![1]);
  };
  t.ok((await sum("prepare")) >= 0.02);
  t.ok((await sum("admission")) < 0.02);
  t.ok((await sum("lock")) < 0.02);
});
