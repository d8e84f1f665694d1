import t from "tap";
import { fixture, reached, running } from "../testing/fixture.ts";
import { followEngine } from "./follow-engine.ts";
import { stopSandbox } from "./stop-sandbox.ts";

t.test("followEngine() puts a sandbox to sleep that ended by itself, with its reason", async (t) => {
  const it = fixture(t);
  t.teardown(followEngine(it.use));
  const { id } = await running(it);
  it.engine.log.push({ stream: "stderr", time: 1, line: "out of luck" });
  it.engine.exit(id, { code: 7 });
  const stopped = await reached(it, id, "stopped");
  t.match(stopped.reason, { code: "exited", exitCode: 7, logTail: ["out of luck"] });
  t.match(it.feed.get(id), { status: "stopped", reason: { code: "exited" }, endpoints: [] });
});

t.test("followEngine() takes a stop of ours for what it is", async (t) => {
  const it = fixture(t);
  t.teardown(followEngine(it.use));
  const { id } = await running(it);
  await stopSandbox(it.use, id, { cause: "operator", mode: "stop", drain: "force" });
  await it.use.lock.idle();
  t.match(it.use.records.get(id), { status: "stopped", reason: null, crashes: 0 });
});

t.test("followEngine() adopts a sandbox that somebody else started", async (t) => {
  const it = fixture(t);
  t.teardown(followEngine(it.use));
  const { id, run } = await running(it);
  await stopSandbox(it.use, id, { cause: "operator", mode: "stop", drain: "force" });
  await it.engine.setDesired(id, "running");
  t.match(await reached(it, id, "running"), { run: run + 1 });
});

t.test("followEngine() looks at everything anew after a gap", async (t) => {
  const it = fixture(t);
  const { id } = await running(it);
  it.engine.exit(id);
  t.teardown(followEngine(it.use));
  it.engine.emit({ type: "resync" });
  t.match(await reached(it, id, "stopped"), { reason: { code: "exited" } });
});
