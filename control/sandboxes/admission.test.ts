import { setImmediate } from "node:timers/promises";
import t, { type Test } from "tap";
import type { HostMemory } from "../host-memory.ts";
import { Admission, type AdmissionOptions, type Admitted } from "./admission.ts";
import { newSandboxId } from "./create-sandbox.ts";
import { MemoryWatch } from "./memory-watch.ts";

const rules = { headroomPercent: 15, refuseWakesPercent: 10, emergencyPercent: 5, wakeCostBytes: 8 };

/** A machine with 100 bytes; a start costs 8, and 10 must stay. */
function machine(t: Test, available: number, options: Partial<AdmissionOptions> = {}) {
  const host: HostMemory & { availableBytes: number } = {
    totalBytes: 100,
    availableBytes: available,
    stalledPercent: null,
  };
  const reliefs: number[] = [];
  const relieve = async () => void reliefs.push(host.availableBytes);
  const admission = new Admission({
    memory: new MemoryWatch(rules, () => ({ ...host })),
    relieve,
    mostStarts: 64,
    ...options,
  });
  const leaving = new AbortController();
  t.teardown(() => leaving.abort());
  const enter = (owner: string | null = null, id = newSandboxId()) => admission.enter(id, owner, leaving.signal);
  return { host, admission, enter, reliefs, leaving };
}

function release(admitted: Admitted): void {
  if (!admitted.admitted) throw new Error(admitted.refusal.message);
  admitted.release();
}

t.test("enter() admits at once while memory is plentiful, and stops nothing for it", async (t) => {
  const { enter, reliefs } = machine(t, 18);
  t.match(await enter(), { admitted: true });
  t.same(reliefs, []);
});

t.test("enter() counts what starts under way will cost", async (t) => {
  const { enter, admission } = machine(t, 26);
  const [first, second] = [await enter(), await enter()];
  t.match([first, second], [{ admitted: true }, { admitted: true }]);
  const third = enter();
  await setImmediate();
  t.equal(admission.queued, 1);
  release(first);
  release(first);
  t.match(await third, { admitted: true });
  t.equal(admission.queued, 0);
});

t.test("enter() has room made once before anybody waits", async (t) => {
  const { enter, host, reliefs } = machine(t, 17, {
    relieve: async () => {
      reliefs.push(host.availableBytes);
      host.availableBytes = 90;
    },
  });
  t.match(await Promise.all([enter(), enter(), enter()]), [{ admitted: true }, { admitted: true }, { admitted: true }]);
  t.same(reliefs, [17]);
});

t.test("enter() refuses at once under the bound, and until there is a little more", async (t) => {
  const { enter, host } = machine(t, 9.5);
  const refused = { admitted: false, refusal: { code: "low_memory", retryAfterSeconds: 30, memAvailablePercent: 9 } };
  t.match(await enter(), refused);
  host.availableBytes = 11.9;
  t.match(await enter(), { refusal: { code: "low_memory", memAvailablePercent: 11 } });
  host.availableBytes = 20;
  t.match(await enter(), { admitted: true });
});

t.test("enter() serves owners in turn and says who stands where", async (t) => {
  const { enter, host, admission } = machine(t, 13);
  const ids = [newSandboxId(), newSandboxId(), newSandboxId()] as const;
  const order: number[] = [];
  const moves: number[] = [];
  admission.on("moved", (id) => moves.push(ids.indexOf(id)));
  const waiting = (["a", "a", "b"] as const).map(async (owner, index) => {
    const admitted = await enter(owner, ids[index]!);
    order.push(index);
    return admitted;
  });
  await setImmediate();
  t.same(
    ids.map((id) => admission.positionOf(id)),
    [1, 3, 2],
  );
  t.same([...new Set(moves)].sort(), [0, 1, 2]);
  host.availableBytes = 18;
  for (const index of [0, 2, 1]) {
    admission.serve();
    const admitted = await waiting[index]!;
    t.equal(order.at(-1), index);
    release(admitted);
  }
  t.equal(admission.positionOf(ids[0]), undefined);
});

t.test("enter() refuses with its place whoever waited too long", async (t) => {
  const { enter, admission } = machine(t, 13, { patienceMs: 10 });
  const refusal = { code: "low_memory", queuePosition: 1, memAvailablePercent: 13, retryAfterSeconds: 30 };
  t.match(await enter(), { admitted: false, refusal });
  t.equal(admission.queued, 0);
});

t.test("enter() refuses an owner with too many in the queue, and nobody else", async (t) => {
  const { enter, admission } = machine(t, 13, { mostQueuedPerOwner: 1 });
  const first = enter("a");
  await setImmediate();
  t.match(await enter("a"), { admitted: false, refusal: { code: "queue_full", retryAfterSeconds: 30 } });
  const other = enter("b");
  await setImmediate();
  t.equal(admission.queued, 2);
  void first;
  void other;
});

t.test("enter() lets go of whoever is called off", async (t) => {
  const { enter, admission, leaving } = machine(t, 13);
  const waiting = enter();
  await setImmediate();
  leaving.abort();
  t.match(await waiting, { admitted: false, refusal: { code: "engine_unavailable" } });
  t.equal(admission.queued, 0);
});

t.test("enter() bounds the starts under way, whatever memory there is", async (t) => {
  const { enter, admission, reliefs } = machine(t, 100, { mostStarts: 2 });
  const [first] = [await enter(), await enter()];
  const third = enter();
  await setImmediate();
  t.equal(admission.queued, 1);
  t.same(reliefs, [], "stopping something would not help");
  release(first!);
  t.match(await third, { admitted: true });
});

t.test("a machine that does not tell its memory admits everyone", async (t) => {
  const memory = new MemoryWatch(rules, () => undefined);
  const relieve = () => Promise.reject(new Error("nothing to relieve"));
  const admission = new Admission({ memory, relieve, mostStarts: 64 });
  t.match(await admission.enter(newSandboxId(), null), { admitted: true });
  t.equal(memory.availablePercent(), undefined);
});
