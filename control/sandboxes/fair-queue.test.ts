import t from "tap";
import { FairQueue } from "./fair-queue.ts";

function filled(entries: readonly string[], mostPerOwner = 10): FairQueue<string> {
  const queue = new FairQueue<string>(mostPerOwner);
  for (const entry of entries) queue.enter(entry[0]!, entry);
  return queue;
}

function drained(queue: FairQueue<string>): string[] {
  const order: string[] = [];
  for (let entry = queue.next(); entry !== undefined; entry = queue.next()) order.push(entry);
  return order;
}

t.test("next() serves owners in turn, and each in order of arrival", async (t) => {
  const queue = filled(["a1", "a2", "a3", "b1", "c1", "c2"]);
  t.equal(queue.size, 6);
  const foretold = [...queue];
  t.same(foretold, ["a1", "b1", "c1", "a2", "c2", "a3"]);
  t.same(drained(queue), foretold);
  t.equal(queue.size, 0);
});

t.test("next() does not let whoever was served come first again", async (t) => {
  const queue = filled(["a1", "a2", "b1"]);
  t.equal(queue.next(), "a1");
  queue.enter("c", "c1");
  t.same(drained(queue), ["b1", "a2", "c1"]);
});

t.test("enter() bounds each owner alone", async (t) => {
  const queue = filled(["a1", "a2"], 2);
  t.equal(queue.enter("a", "a3"), false);
  t.equal(queue.enter("b", "b1"), true);
  t.same(drained(queue), ["a1", "b1", "a2"]);
});

t.test("leave() takes one out wherever it stands", async (t) => {
  const queue = filled(["a1", "a2", "b1"]);
  queue.leave("a1");
  queue.leave("b1");
  queue.leave("never there");
  t.same(drained(queue), ["a2"]);
});
