import type Docker from "dockerode";
import t from "tap";
import { newId } from "../engine-under-test.ts";
import type { EngineState } from "../sandbox-engine.ts";
import { PausedContainers } from "./paused-containers.ts";

const state = (more: Partial<EngineState> = {}): EngineState => ({
  ...{ id: newId(), state: "paused", exit: null, startedAt: 1, endpoints: [], addresses: [], runtime: {} },
  ...more,
});

/** A container that counts the calls to let it go on, and refuses them with a status. */
function container(statusCode?: number) {
  const calls: string[] = [];
  const unpause = async () => {
    calls.push("unpause");
    if (statusCode !== undefined) throw Object.assign(new Error("refused"), { statusCode });
  };
  return { calls, container: { unpause } as unknown as Docker.Container };
}

t.test("resume() takes one call for what was seen paused", async (t) => {
  const paused = new PausedContainers();
  const seen = paused.see(state());
  const { calls, container: it } = container();
  t.same(await paused.resume(seen.id, it), { ...seen, state: "running" });
  t.equal(await paused.resume(seen.id, it), undefined, "it is not paused any more");
  t.same(calls, ["unpause"]);
});

t.test("resume() asks nothing about what was not seen paused, or changed since", async (t) => {
  const paused = new PausedContainers();
  const { calls, container: it } = container();
  const [running, forgotten, missed] = [state({ state: "running" }), state(), state()];
  for (const each of [running, forgotten]) paused.see(each);
  paused.forget(forgotten.id);
  t.equal(await paused.resume(running.id, it), undefined);
  t.equal(await paused.resume(forgotten.id, it), undefined);
  paused.see(missed);
  paused.see({ ...missed, state: "exited" });
  t.equal(await paused.resume(missed.id, it), undefined);
  paused.see(missed);
  paused.clear();
  t.equal(await paused.resume(missed.id, it), undefined);
  t.same(calls, []);
});

t.test("resume() leaves the rest to a start when the daemon knows better", async (t) => {
  const paused = new PausedContainers();
  for (const status of [404, 409, 500]) {
    const seen = paused.see(state());
    t.equal(await paused.resume(seen.id, container(status).container), undefined);
  }
  const seen = paused.see(state());
  await t.rejects(paused.resume(seen.id, container(503).container), /refused/);
});
