import t from "tap";
import type { Exchange, ExchangeActivity } from "./exchange.ts";
import { OpenActivities } from "./open-activities.ts";

const activity = (bytesIn: number): ExchangeActivity => ({
  exchange: {} as Exchange,
  socket: false,
  extends: true,
  lastDataAt: 0,
  bytesIn,
  bytesOut: 0,
  forwarded: false,
});

t.test("OpenActivities holds what was added and not deleted, whatever the order", async (t) => {
  const all = Array.from({ length: 50 }, (_, index) => activity(index));
  const open = new OpenActivities();
  for (const each of all) open.add(each);
  const gone = all.filter((_, index) => index % 3 !== 1);
  for (const each of gone.reverse()) t.ok(open.delete(each));
  t.equal(open.size, all.length - gone.length);
  t.strictSame(new Set(open), new Set(all.filter((each) => !gone.includes(each))));
});

t.test("OpenActivities.delete() knows what is not there", async (t) => {
  const open = new OpenActivities();
  const [first, second] = [activity(1), activity(2)];
  t.notOk(open.delete(first));
  open.add(first);
  open.add(second);
  t.ok(open.delete(first));
  t.notOk(open.delete(first), "not twice");
  t.strictSame([...open], [second]);
});

t.test("OpenActivities may change while it is read", async (t) => {
  const open = new OpenActivities();
  for (let count = 0; count < 5; count++) open.add(activity(count));
  let seen = 0;
  for (const each of open) {
    open.delete(each);
    seen++;
  }
  t.equal(seen, 5);
  t.equal(open.size, 0);
});
