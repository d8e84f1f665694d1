import { getTasks } from "node-cron";
import t from "tap";
import { lastDue, nextAct, nextTime, type Schedule, scheduleProblem } from "./schedule.ts";

const at = (time: string) => Date.parse(time);
const iso = (time: number | undefined) => (time === undefined ? undefined : new Date(time).toISOString());

t.test("nextTime() goes by the clock of the time zone", async (t) => {
  const cases: [expression: string, timezone: string, after: string, expected: string | undefined][] = [
    ["0 9 * * *", "UTC", "2026-11-24T08:59:59Z", "2026-11-24T09:00:00.000Z"],
    ["0 9 * * *", "UTC", "2026-11-24T09:00:00Z", "2026-11-25T09:00:00.000Z"],
    ["0 9 * * *", "Europe/Berlin", "2026-11-24T00:00:00Z", "2026-11-24T08:00:00.000Z"],
    ["0 9 * * *", "Europe/Berlin", "2026-07-24T00:00:00Z", "2026-07-24T07:00:00.000Z"],
    ["30 18 * * *", "Asia/Kolkata", "2026-11-24T00:00:00Z", "2026-11-24T13:00:00.000Z"],
    ["7 0 * * *", "Asia/Kathmandu", "2026-11-24T00:00:00Z", "2026-11-24T18:22:00.000Z"],
    ["0 9 * * 1-5", "UTC", "2026-11-27T10:00:00Z", "2026-11-30T09:00:00.000Z"],
    ["*/20 * * * *", "UTC", "2026-11-24T08:41:00Z", "2026-11-24T09:00:00.000Z"],
    ["0 0 29 2 *", "UTC", "2026-11-24T00:00:00Z", undefined],
  ];
  for (const [expression, timezone, after, expected] of cases) {
    t.equal(iso(nextTime([expression], timezone, at(after))), expected, `${expression} ${timezone} after ${after}`);
  }
  t.equal(nextTime([], "UTC", 0), undefined);
  t.equal(getTasks().size, 0, "nothing is left behind");
});

t.test("nextTime() has an hour that the clock skips never come, and one that it repeats come twice", async (t) => {
  const next = (after: string) => iso(nextTime(["30 2 * * *"], "Europe/Berlin", at(after)));
  t.equal(next("2026-03-28T12:00:00Z"), "2026-03-30T00:30:00.000Z");
  t.equal(next("2026-10-24T12:00:00Z"), "2026-10-25T00:30:00.000Z");
  t.equal(next("2026-10-25T00:30:00Z"), "2026-10-25T01:30:00.000Z");
});

const office: Schedule = { timezone: "UTC", wake: ["0 9 * * 1-5"], sleep: ["0 18 * * 1-5", "0 12 * * 5"] };

t.test("nextAct() takes whatever comes first", async (t) => {
  t.same(nextAct(office, at("2026-11-26T08:00:00Z")), { act: "wake", at: at("2026-11-26T09:00:00Z") });
  t.same(nextAct(office, at("2026-11-27T09:00:00Z")), { act: "sleep", at: at("2026-11-27T12:00:00Z") });
  t.same(nextAct({ ...office, wake: [] }, at("2026-11-26T08:00:00Z")), {
    act: "sleep",
    at: at("2026-11-26T18:00:00Z"),
  });
  const both = { timezone: "UTC", wake: ["0 9 * * *"], sleep: ["0 9 * * *"] };
  t.match(nextAct(both, at("2026-11-26T08:00:00Z")), { act: "wake" });
});

t.test("lastDue() is the newest act of a time that was missed", async (t) => {
  const due = (after: string, upTo: string) => lastDue(office, at(after), at(upTo));
  t.equal(due("2026-11-26T08:00:00Z", "2026-11-26T08:59:00Z"), undefined);
  t.match(due("2026-11-26T08:00:00Z", "2026-11-26T09:00:00Z"), { act: "wake" });
  t.match(due("2026-11-26T08:00:00Z", "2026-11-26T20:00:00Z"), { act: "sleep" });
});

t.test("scheduleProblem() says what is wrong", async (t) => {
  t.equal(scheduleProblem(office), undefined);
  t.match(scheduleProblem({ ...office, timezone: "Mars/Olympus" }), /timezone "Mars\/Olympus"/);
  t.match(scheduleProblem({ timezone: "UTC", wake: [], sleep: [] }), /needs a time/);
  t.match(scheduleProblem({ ...office, wake: ["61 * * * *"] }), /"61 \* \* \* \*" is no cron expression/);
  t.match(scheduleProblem({ ...office, wake: ["0 0 9 * * *"] }), /five fields/);
  t.match(scheduleProblem({ ...office, sleep: ["every day at nine please"] }), /is no cron expression/);
});
