import t from "tap";
import { newSandboxId } from "../sandboxes/create-sandbox.ts";
import { Database } from "./database.ts";
import { EventStore } from "./event-store.ts";

t.test("EventStore keeps what happened, tells the newest first and forgets the old", async (t) => {
  const database = new Database(":memory:", () => {});
  t.teardown(() => database.close());
  const events = new EventStore(database);
  const id = newSandboxId();
  events.append(id, { kind: "create", cause: "operator", to: "creating" }, 1);
  const wake = { kind: "wake", cause: "request", class: "api", outcome: "ready", durationMs: 7, detail: "d" } as const;
  events.append(id, { ...wake, from: "stopped", to: "running" }, 2);
  events.append(newSandboxId(), { kind: "stop", cause: "idle" }, 3);
  t.same(events.recent(id, 10), [
    { time: 2, ...wake, from: "stopped", to: "running" },
    { time: 1, kind: "create", cause: "operator", to: "creating" },
  ]);
  t.equal(events.recent(id, 1).length, 1);
  t.equal(events.prune(2), 1);
  t.equal(events.recent(id, 10).length, 1);
});

t.test("EventStore keeps so much of each sandbox and no more", async (t) => {
  const database = new Database(":memory:", () => {});
  t.teardown(() => database.close());
  const events = new EventStore(database);
  const [noisy, quiet] = [newSandboxId(), newSandboxId()];
  events.append(quiet, { kind: "create", cause: "operator" }, 0);
  for (let n = 1; n <= 1000; n++) events.append(noisy, { kind: "refuse", cause: "request", detail: `${n}` }, n);
  const kept = events.recent(noisy, 10_000);
  t.ok(kept.length >= 500 && kept.length < 550, `${kept.length}`);
  t.match(kept[0], { detail: "1000" });
  t.equal(events.recent(quiet, 10).length, 1);
});
