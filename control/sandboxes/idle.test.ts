import t from "tap";
import { policy } from "../testing/fixture.ts";
import { newSandboxId } from "./create-sandbox.ts";
import { decideIdle, isRecent, nextStop } from "./idle.ts";
import { newSandbox, type Sandbox } from "./sandbox.ts";

const rules = { idleThresholdSeconds: 100, maxUnattendedSeconds: 1000 };
const nothing = { requests: 0, sockets: 0, execs: 0 };
const start = 1_000_000;

function sandbox(overrides: Partial<Sandbox> = {}): Sandbox {
  const awake = { status: "running", startedAt: start, awakeSince: start, lastActiveAt: start } as const;
  return { ...newSandbox(newSandboxId(), policy, start), ...awake, ...overrides };
}

const kindAt = (seconds: number, overrides: Partial<Sandbox> = {}, open = nothing) =>
  decideIdle(sandbox(overrides), open, rules, start + seconds * 1000).kind;

t.test("decideIdle() lets a sandbox sleep after its threshold and no sooner", async (t) => {
  t.equal(kindAt(99), "awake");
  t.equal(kindAt(100), "idle");
  t.equal(kindAt(100, { idleSeconds: 101 }), "awake");
  t.equal(kindAt(10, { idleSeconds: 10 }), "idle");
});

t.test("decideIdle() counts from the last use, and from the last time it came up", async (t) => {
  t.equal(kindAt(150, { lastActiveAt: start + 60_000 }), "awake");
  t.equal(kindAt(150, { awakeSince: start + 60_000 }), "awake");
  t.equal(kindAt(161, { awakeSince: start + 60_000 }), "idle");
});

t.test("decideIdle() keeps promises: always_on, keepalive, lease", async (t) => {
  t.equal(kindAt(5000, { idlePolicy: "always_on" }), "awake");
  t.equal(kindAt(5000, { keepaliveUntil: start + 5_000_001 }), "awake");
  t.equal(kindAt(5000, { keepaliveUntil: start + 5_000_000 }), "idle");
  t.equal(kindAt(5000, { leaseUntil: start + 5_000_001 }), "awake");
});

t.test("decideIdle() keeps what is open awake until nobody attends it", async (t) => {
  const open = { requests: 0, sockets: 1, execs: 0 };
  t.equal(kindAt(999, {}, open), "awake");
  t.equal(kindAt(1000, {}, open), "unattended");
  t.equal(kindAt(1000, { lastNavigationAt: start + 1 }, open), "awake");
  t.equal(kindAt(1000, { wakePolicy: { classes: {}, maxUnattendedSeconds: 2000 } }, open), "awake");
  t.equal(kindAt(1000, { lastActiveAt: start + 999_000 }), "unattended", "background traffic counts no longer");
});

t.test("decideIdle() names every cause", async (t) => {
  const all = sandbox({ idlePolicy: "always_on", keepaliveUntil: start + 9e6, leaseUntil: start + 9e6 });
  const decision = decideIdle(all, { requests: 1, sockets: 2, execs: 0 }, rules, start + 1000);
  t.match(decision, { kind: "awake" });
  const causes = decision.kind === "awake" ? decision.because.map(({ cause }) => cause) : [];
  t.same(causes, ["always_on", "keepalive", "lease", "open", "active"]);
});

t.test("isRecent() tells activity that forbids an idle stop", async (t) => {
  const now = start + 200_000;
  t.notOk(isRecent(sandbox(), start + 100_000, rules, now));
  t.ok(isRecent(sandbox(), start + 100_001, rules, now));
});

t.test("nextStop() agrees with decideIdle()", async (t) => {
  const now = start + 1000;
  t.same(nextStop(sandbox(), nothing, rules, now), { at: start + 100_000, because: "idle" });
  t.same(nextStop(sandbox({ keepaliveUntil: start + 500_000 }), nothing, rules, now), {
    at: start + 500_000,
    because: "idle",
  });
  const open = { requests: 1, sockets: 0, execs: 0 };
  t.same(nextStop(sandbox(), open, rules, now), { at: start + 1_000_000, because: "unattended" });
  t.equal(nextStop(sandbox({ idlePolicy: "always_on" }), nothing, rules, now), undefined);
});
