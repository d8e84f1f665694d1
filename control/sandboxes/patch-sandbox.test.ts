import t from "tap";
import { EngineError } from "../engines/sandbox-engine.ts";
import { fixture, running } from "../testing/fixture.ts";
import { newSandboxId } from "./create-sandbox.ts";
import { patchSandbox } from "./patch-sandbox.ts";

t.test("patchSandbox() changes the policy and the route, and restarts nothing", async (t) => {
  const it = fixture(t);
  const { id, generation, run } = await running(it);
  it.engine.calls.length = 0;
  const patched = await patchSandbox(it.use, id, () => ({ visibility: "private", env: { A: "1" } }), {});
  t.match(patched, { visibility: "private", env: { A: "1" }, generation: generation + 1, run, status: "running" });
  t.match(it.feed.get(id), { visibility: "private", generation: generation + 1, endpoints: [{ port: 3000 }] });
  t.same(it.engine.calls, []);
});

t.test("patchSandbox() takes an undeclared port off the route at once", async (t) => {
  const it = fixture(t);
  const { id } = await running(it, { ports: [3000, 4000] });
  await patchSandbox(it.use, id, () => ({ ports: [4000] }), {});
  t.match(it.feed.get(id), { ports: [4000], endpoints: [{ port: 4000 }] });
});

t.test("patchSandbox() guards against a change in between", async (t) => {
  const it = fixture(t);
  const { id, generation } = await running(it);
  const change = () => ({ labels: { a: "b" } });
  await t.rejects(patchSandbox(it.use, id, change, { ifGeneration: [generation - 1] }), {
    code: "precondition_failed",
  });
  t.equal(it.use.records.get(id)?.generation, generation);
  t.match(await patchSandbox(it.use, id, change, { ifGeneration: [1, generation] }), { labels: { a: "b" } });
});

t.test("patchSandbox() of what is started lifts a crash loop's delay, of anything else it does not", async (t) => {
  const it = fixture(t);
  const { id } = await running(it);
  it.use.records.change(id, { crashes: 5, retryAt: 99 }, { kind: "stop", cause: "exited" });
  t.match(await patchSandbox(it.use, id, () => ({ labels: {} }), {}), { crashes: 5, retryAt: 99 });
  t.match(await patchSandbox(it.use, id, () => ({ cmd: ["fixed"] }), {}), { crashes: 0, retryAt: null });
});

t.test("patchSandbox() throws for an id that nobody made", async (t) => {
  const { use } = fixture(t);
  await t.rejects(
    patchSandbox(use, newSandboxId(), () => ({}), {}),
    { code: "not_found" },
  );
});

t.test("patchSandbox() changes a disk at once, and changes nothing when that cannot be", async (t) => {
  const it = fixture(t);
  const { id } = await running(it);
  await patchSandbox(it.use, id, () => ({ disk: "2G" }), {});
  t.ok(it.engine.calls.includes(`disk ${2 ** 31}`));
  it.engine.failNext("disk null", new EngineError("unsupported", "it cannot shrink"));
  await t.rejects(
    patchSandbox(it.use, id, () => ({ disk: null }), {}),
    { code: "unsupported" },
  );
  t.equal(it.use.records.get(id)?.disk, "2G");
});
