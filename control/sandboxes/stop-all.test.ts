import t from "tap";
import { EngineError } from "../engines/sandbox-engine.ts";
import { fixture, running } from "../testing/fixture.ts";
import { stopAll } from "./stop-all.ts";
import { stopSandbox } from "./stop-sandbox.ts";

t.test("stopAll() puts everything to sleep that is awake or paused, one failure notwithstanding", async (t) => {
  const it = fixture(t);
  const first = await running(it);
  const second = await running(it);
  const paused = await running(it);
  await stopSandbox(it.use, paused.id, { cause: "operator", mode: "pause", drain: "force" });
  it.engine.failNext("stopped", new EngineError("engine_unavailable", "away"));
  await stopAll(it.use);
  const statuses = [first, second, paused].map(({ id }) => it.use.records.get(id)?.status);
  t.equal(statuses.filter((status) => status === "stopped").length, 2);
});
