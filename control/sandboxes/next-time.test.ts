import t from "tap";
import { NextTime } from "./next-time.ts";

const at = (text: string) => Date.parse(text);

t.test("NextTime is due once at each time that is named", async (t) => {
  const next = new NextTime(["0 3 * * *"], "UTC", at("2026-11-24T02:00:00Z"));
  t.equal(next.at, at("2026-11-24T03:00:00Z"));
  t.notOk(next.isDue(at("2026-11-24T02:59:59Z")));
  t.ok(next.isDue(at("2026-11-24T03:00:00Z")));
  t.notOk(next.isDue(at("2026-11-24T03:00:01Z")));
  t.equal(next.at, at("2026-11-25T03:00:00Z"));
  t.ok(next.isDue(at("2026-11-28T10:00:00Z")), "what was missed is due once");
  t.equal(next.at, at("2026-11-29T03:00:00Z"));
});

t.test("NextTime finds what is further ahead than it looks at once", async (t) => {
  const next = new NextTime(["0 0 1 * *"], "UTC", at("2026-11-02T00:00:00Z"));
  t.equal(next.at, null);
  t.notOk(next.isDue(at("2026-11-30T23:59:00Z")));
  t.equal(next.at, at("2026-12-01T00:00:00Z"));
  t.ok(next.isDue(at("2026-12-01T00:00:00Z")));
});
