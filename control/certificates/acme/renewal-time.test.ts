import t from "tap";
import { renewalTime } from "./renewal-time.ts";

const day = 86_400_000;
const life = (days: number) => ({ notBefore: 0, notAfter: days * day, window: null });

t.test("renewalTime() is after two thirds of the life, and up to a twentieth of it sooner", async (t) => {
  t.equal(renewalTime({ ...life(90), fraction: 0 }), 60 * day);
  t.equal(renewalTime({ ...life(90), fraction: 1 }), 55.5 * day);
});

t.test("renewalTime() is after half of a short life", async (t) => {
  t.equal(renewalTime({ ...life(6), fraction: 0 }), 3 * day);
  t.equal(renewalTime({ ...life(10), fraction: 0 }), 5 * day);
  t.equal(Math.round(renewalTime({ ...life(10.1), fraction: 0 }) / day), 7);
});

t.test("renewalTime() is at a random time of the CA's window, early or late", async (t) => {
  const window = { start: 10 * day, end: 20 * day };
  t.equal(renewalTime({ ...life(90), window, fraction: 0 }), 10 * day);
  t.equal(renewalTime({ ...life(90), window, fraction: 0.25 }), 12.5 * day);
  t.equal(renewalTime({ ...life(90), window: { start: 80 * day, end: 82 * day }, fraction: 0.5 }), 81 * day);
  t.ok(renewalTime({ ...life(90), window: { start: -2 * day, end: -day }, fraction: 0.5 }) < 0, "at once when revoked");
});

t.test("renewalTime() passes over a window that cannot be meant", async (t) => {
  for (const window of [
    { start: 20 * day, end: 10 * day },
    { start: 20 * day, end: 20 * day },
    { start: 80 * day, end: 91 * day },
  ]) {
    t.equal(renewalTime({ ...life(90), window, fraction: 0 }), 60 * day);
  }
});
