import t from "tap";
import { formatSpread, median, medianRatio, quantile } from "./statistics.ts";

t.test("median() is the middle of an odd number of values and the mean of the middle two of an even one", async (t) => {
  t.equal(median([9, 1, 5]), 5);
  t.equal(median([10, 1, 2, 4]), 3);
  t.ok(Number.isNaN(median([])));
});

t.test("quantile() is the value that this share of all do not exceed", async (t) => {
  const values = Array.from({ length: 20 }, (_, index) => 20 - index);
  t.equal(quantile(values, 0.95), 19);
  t.equal(quantile(values, 1), 20);
  t.equal(quantile([7, 3], 0.95), 7);
  t.equal(quantile([7, 3], 0), 3);
  t.ok(Number.isNaN(quantile([], 0.95)));
});

t.test("medianRatio() compares within each round, so that a slow round changes nothing", async (t) => {
  t.equal(medianRatio([10, 100, 11], [20, 200, 22]), 0.5);
});

t.test("formatSpread() names the least and the most of the quotients", async (t) => {
  t.equal(formatSpread([1, 6, 2], [2, 2, 2]), "0.50 to 3.00 by round");
});
