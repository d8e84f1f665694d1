import t from "tap";
import { fixture, running } from "../testing/fixture.ts";
import { newSandboxId } from "./create-sandbox.ts";

t.test("change() writes the row and its event together, or neither", async (t) => {
  const it = fixture(t);
  const { id, generation } = await running(it);
  const events = it.events.recent(id, 100).length;
  const broken = { kind: "change", cause: null as unknown as string } as const;
  t.throws(() => it.use.records.change(id, { visibility: "private" }, broken));
  t.match(it.use.records.get(id), { visibility: "public", generation });
  t.match(it.feed.get(id), { visibility: "public", generation });
  t.equal(it.events.recent(id, 100).length, events);
});

t.test("change() keeps what others wrote meanwhile", async (t) => {
  const it = fixture(t);
  const { id } = await running(it);
  it.use.records.extend(id, { keepaliveUntil: 99 }, "lease");
  t.match(it.use.records.change(id, { labels: { a: "b" } }, { kind: "change", cause: "test" }), { keepaliveUntil: 99 });
});

t.test("change() of a sandbox that is gone changes nothing", async (t) => {
  const { use, feed } = fixture(t);
  const id = newSandboxId();
  t.equal(use.records.change(id, { status: "running" }, { kind: "change", cause: "test" }), undefined);
  t.equal(use.records.extend(id, { keepaliveUntil: 1 }, "lease"), undefined);
  t.equal(feed.get(id), undefined);
});

t.test("extend() publishes nothing", async (t) => {
  const it = fixture(t);
  const { id } = await running(it);
  const { revision } = it.feed;
  it.use.records.extend(id, { keepaliveUntil: 99 }, "lease");
  t.equal(it.feed.revision, revision);
});

t.test("beginRemoval() tells whoever waits that it is gone", async (t) => {
  const it = fixture(t);
  const { id } = await running(it);
  const changes: unknown[] = [];
  it.use.records.on("change", (_, sandbox) => changes.push(sandbox));
  it.use.records.beginRemoval(id, "keep", { kind: "remove", cause: "operator" });
  t.same(changes, [undefined]);
  t.same(it.use.records.endpoints(id), []);
  t.match(it.use.store.removing(), [{ id, removing: "keep" }]);
});

t.test("a wake's two changes cost less than two milliseconds", async (t) => {
  const it = fixture(t);
  const { id } = await running(it);
  const cycles = 200;
  const begun = performance.now();
  for (let n = 0; n < cycles; n++) {
    it.use.records.change(id, { status: "stopped" }, { kind: "stop", cause: "test" });
    it.use.records.change(id, { status: "waking" }, { kind: "change", cause: "test" });
    it.use.records.change(id, { status: "running" }, { kind: "change", cause: "test" });
  }
  t.ok((performance.now() - begun) / cycles < 2);
});
