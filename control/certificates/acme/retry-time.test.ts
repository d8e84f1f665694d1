import t from "tap";
import { retryAfterStart, retryDelay } from "./retry-time.ts";

const minute = 60_000;
const none = { retryAfterMs: null, fraction: 0 };

t.test("retryDelay() doubles from five minutes to six hours", async (t) => {
  const minutes = [1, 2, 3, 4, 7, 8, 100].map((count) => retryDelay({ ...none, count }) / minute);
  t.strictSame(minutes, [5, 10, 20, 40, 320, 360, 360]);
});

t.test("retryDelay() never takes the CA more than four times in the first hour", async (t) => {
  let at = 0;
  let attempts = 1;
  for (let count = 1; ; count++) {
    at += retryDelay({ ...none, count });
    if (at > 60 * minute) break;
    attempts++;
  }
  t.equal(attempts, 4);
});

t.test("retryDelay() spreads clients that failed at the same time", async (t) => {
  t.equal(retryDelay({ count: 1, retryAfterMs: null, fraction: 1 }), 6 * minute);
});

t.test("retryDelay() heeds what the CA asks for, up to a day", async (t) => {
  t.equal(retryDelay({ ...none, count: 1, retryAfterMs: 60 * minute }), 60 * minute);
  t.equal(retryDelay({ ...none, count: 1, retryAfterMs: minute }), 5 * minute);
  t.equal(retryDelay({ ...none, count: 1, retryAfterMs: 10 * 24 * 60 * minute }), 24 * 60 * minute);
});

t.test("retryAfterStart() tries again soon, but not before the CA allows it", async (t) => {
  const waiting = { lastAttemptAt: 0, retryAt: 360 * minute, askedUntil: 0 };
  t.equal(retryAfterStart(waiting), 5 * minute);
  t.equal(retryAfterStart({ ...waiting, retryAt: minute }), minute);
  t.equal(retryAfterStart({ ...waiting, askedUntil: 60 * minute }), 60 * minute);
});
