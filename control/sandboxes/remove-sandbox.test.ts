import t from "tap";
import { EngineError } from "../engines/sandbox-engine.ts";
import { fixture, policy, running } from "../testing/fixture.ts";
import { createSandbox, newSandboxId } from "./create-sandbox.ts";
import { reconcile } from "./reconcile.ts";
import { purgeSandbox, removeSandbox } from "./remove-sandbox.ts";
import { stopSandbox } from "./stop-sandbox.ts";

t.test("removeSandbox() takes it out of sight, off the engine and out of the table", async (t) => {
  const it = fixture(t);
  const { id } = await running(it);
  await removeSandbox(it.use, id, "all");
  t.equal(it.feed.get(id), undefined);
  t.equal(it.engine.calls.at(-1), "remove with workspace");
  t.same(it.use.store.removing(), []);
  await t.rejects(removeSandbox(it.use, id, "all"), { code: "not_found" });
});

t.test("removeSandbox() waits for no drain", async (t) => {
  const it = fixture(t);
  const { id } = await running(it);
  it.use.workers.connect("w", () => {});
  const drain = { kind: "asked", milliseconds: 60_000 } as const;
  const stopping = stopSandbox(it.use, id, { cause: "operator", mode: "stop", drain });
  await removeSandbox(it.use, id, "all");
  t.match(await stopping, { status: "stopped" });
});

t.test("removeSandbox() that the engine cannot do is finished by the next reconcile", async (t) => {
  const it = fixture(t);
  const { id } = await running(it);
  it.engine.failNext("remove", new EngineError("engine_unavailable", "away"));
  await t.rejects(removeSandbox(it.use, id, "keep"), { code: "engine_unavailable" });
  t.equal(it.use.records.get(id), undefined, "nobody sees it any more");
  await reconcile(it.use);
  t.same(it.use.store.removing(), []);
  t.notOk(it.engine.states.has(id));
  t.match(it.use.workspaces.owner(id), { userId: null });
});

t.test("removeSandbox() that was cut off is finished by a create of the same id", async (t) => {
  const it = fixture(t);
  const { id } = await running(it);
  it.engine.failNext("remove with workspace", new EngineError("engine_unavailable", "away"));
  await t.rejects(removeSandbox(it.use, id, "all"));
  const { running: again } = await createSandbox(it.use, id, policy, { keepFailed: false });
  t.match(await again, { status: "running", run: 1 });
});

t.test("purgeSandbox() removes a kept workspace, and knows nothing of others", async (t) => {
  const it = fixture(t);
  const { id } = await running(it);
  await removeSandbox(it.use, id, "keep");
  await purgeSandbox(it.use, id);
  t.equal(it.engine.calls.at(-1), "remove with workspace");
  await t.rejects(purgeSandbox(it.use, id), { code: "not_found" });
  await t.rejects(purgeSandbox(it.use, newSandboxId()), { code: "not_found" });
});
