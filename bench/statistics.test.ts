import t from "tap";
import { median, medianRatio } from "./statistics.ts";

t.test("median() is the middle of an odd number of values and the mean of the middle two of an even one", async (t) => {
  t.equal(median([9, 1, 5]), 5);
  t.equal(median([10, 1, 2, 4]), 3);
  t.ok(Number.isNaN(median([])));
});

t.test("medianRatio() compares within each round, so that a slow round changes nothing", async (t) => {
  t.equal(medianRatio([10, 100, 11], [20, 200, 22]), 0.5);
});
