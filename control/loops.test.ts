import t from "tap";
import { Loops } from "./loops.ts";
import { silent } from "./testing/fixture.ts";

t.test("every() goes on after a failure, one turn at a time", async (t) => {
  const loops = new Loops(silent);
  const third = Promise.withResolvers<void>();
  let turns = 0;
  let running = 0;
  loops.every("test", 1, async () => {
    t.equal(++running, 1);
    turns++;
    await new Promise(setImmediate);
    running--;
    if (turns === 3) third.resolve();
    if (turns === 1) throw new Error("broken");
  });
  await third.promise;
  await loops.close();
  t.ok(turns >= 3);
});

t.test("untilDone() waits for the first attempt alone, and repeats until it succeeds", async (t) => {
  const loops = new Loops(silent);
  const done = Promise.withResolvers<void>();
  let attempts = 0;
  await loops.untilDone("test", 1, async () => {
    if (++attempts < 3) throw new Error("not yet");
    done.resolve();
  });
  t.equal(attempts, 1);
  await done.promise;
  await loops.close();
  t.equal(attempts, 3);
});

t.test("close() waits for the turn in progress and begins no other one", async (t) => {
  const loops = new Loops(silent);
  const begun = Promise.withResolvers<void>();
  let ended = false;
  loops.every("test", 1, async () => {
    begun.resolve();
    await new Promise(setImmediate);
    ended = true;
  });
  await begun.promise;
  await loops.close();
  t.ok(ended);
});
