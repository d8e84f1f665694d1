import t from "tap";
import { EngineError } from "../engines/sandbox-engine.ts";
import { fixture, policy, reached, running } from "../testing/fixture.ts";
import { createSandbox, newSandboxId } from "./create-sandbox.ts";
import { purgeSandbox, removeSandbox } from "./remove-sandbox.ts";

const failing = { keepFailed: false };
const owned = (userId: string | null) => ({ ...policy, external: { ...policy.external, userId } });

t.test("createSandbox() hands out the sandbox as it is noted, and then as it runs", async (t) => {
  const { use, feed, engine } = fixture(t);
  const id = newSandboxId();
  const { sandbox, running } = await createSandbox(use, id, policy, failing);
  t.match(sandbox, { id, status: "creating", generation: 1 });
  t.match(await running, { status: "running", run: 1 });
  t.match(feed.get(id), { status: "running", endpoints: [{ port: 3000 }] });
  t.same(engine.calls, ["ensure", "running"]);
});

t.test("createSandbox() refuses an id that exists", async (t) => {
  const it = fixture(t);
  const { id } = await running(it);
  await t.rejects(createSandbox(it.use, id, policy, failing), { code: "already_exists" });
});

t.test("createSandbox() leaves nothing behind of what cannot be started", async (t) => {
  const { use, engine, feed } = fixture(t);
  const id = newSandboxId();
  engine.failNext("running", new EngineError("start_failed", "no such program"));
  const { running } = await createSandbox(use, id, policy, failing);
  await t.rejects(running, { code: "start_failed", message: "no such program" });
  t.equal(use.records.get(id), undefined);
  t.equal(feed.get(id), undefined);
  t.equal(engine.calls.at(-1), "remove with workspace");
});

t.test("createSandbox() refuses a command that ends at once, with its last words", async (t) => {
  const { use, engine } = fixture(t);
  Object.assign(use.settings, { earlyExitMs: 60_000 });
  const id = newSandboxId();
  engine.log.push({ stream: "stderr", time: 1, line: "EADDRINUSE" });
  const held = engine.hold("running");
  const { running } = await createSandbox(use, id, policy, failing);
  await held.begun;
  held.release();
  setImmediate(() => engine.exit(id, { code: 3 }));
  await t.rejects(running, { code: "exited", detail: { exit_code: 3, signal: null, log_tail: ["EADDRINUSE"] } });
  t.equal(use.records.get(id), undefined);
});

t.test("createSandbox() keeps a failed one with its reason when nobody waits", async (t) => {
  const it = fixture(t);
  const id = newSandboxId();
  it.engine.failNext("ensure", new EngineError("image_not_found", "no such image"));
  await createSandbox(it.use, id, policy, { keepFailed: true });
  t.match(await reached(it, id, "error"), { reason: { code: "image_missing", message: "no such image" } });
});

t.test("createSandbox() gives a kept workspace back to its owner alone", async (t) => {
  const it = fixture(t);
  const { id } = await running(it, owned("ada"));
  await removeSandbox(it.use, id, "keep");
  t.equal(it.engine.calls.at(-1), "remove");
  await t.rejects(createSandbox(it.use, id, owned("eve"), failing), { code: "workspace_owner_mismatch" });
  await t.rejects(createSandbox(it.use, id, owned(null), failing), { code: "workspace_owner_mismatch" });
  const { running: again } = await createSandbox(it.use, id, owned("ada"), failing);
  t.match(await again, { id, status: "running" });
  t.equal(it.use.workspaces.owner(id), undefined);
});

t.test("createSandbox() that fails keeps the workspace that it found", async (t) => {
  const it = fixture(t);
  const { id } = await running(it, owned("ada"));
  await removeSandbox(it.use, id, "keep");
  it.engine.failNext("running", new EngineError("start_failed", "broken"));
  const { running: again } = await createSandbox(it.use, id, owned("ada"), failing);
  await t.rejects(again, { code: "start_failed" });
  t.equal(it.engine.calls.at(-1), "remove");
  t.match(it.use.workspaces.owner(id), { userId: "ada" });
  await purgeSandbox(it.use, id);
  t.equal(it.use.workspaces.owner(id), undefined);
});

t.test("createSandbox() refuses while control stops", async (t) => {
  const { use } = fixture(t);
  use.flights.close();
  await t.rejects(createSandbox(use, newSandboxId(), policy, failing), { code: "engine_unavailable" });
});
