import t from "tap";
import { KeyedLock } from "./keyed-lock.ts";

t.test("run() begins in the same turn when nobody holds the key", async (t) => {
  const lock = new KeyedLock<string>();
  let begun = false;
  const done = lock.run("a", async () => {
    begun = true;
  });
  t.ok(begun);
  await done;
});

t.test("run() lets one at a time have a key, in their order, and other keys go on", async (t) => {
  const lock = new KeyedLock<string>();
  const gate = Promise.withResolvers<void>();
  const order: string[] = [];
  const first = lock.run("a", async () => {
    await gate.promise;
    order.push("first");
  });
  const second = lock.run("a", async () => void order.push("second"));
  await lock.run("b", async () => void order.push("other"));
  gate.resolve();
  await Promise.all([first, second]);
  t.same(order, ["other", "first", "second"]);
});

t.test("run() passes a failure to its caller alone", async (t) => {
  const lock = new KeyedLock<string>();
  const failing = lock.run("a", () => {
    throw new Error("broken");
  });
  const following = lock.run("a", async () => "fine");
  await t.rejects(failing, { message: "broken" });
  t.equal(await following, "fine");
});

t.test("isHeld() and idle() follow what runs", async (t) => {
  const lock = new KeyedLock<string>();
  const gate = Promise.withResolvers<void>();
  const run = lock.run("a", () => gate.promise);
  t.ok(lock.isHeld("a"));
  gate.resolve();
  await run;
  await lock.idle();
  t.notOk(lock.isHeld("a"));
});
