import t from "tap";
import { formatTarget, judge } from "./targets.ts";

t.test("judge() holds a value against its bounds, both included", async (t) => {
  t.equal(judge({ most: 0.6 }, 0.6), "met");
  t.equal(judge({ most: 0.6 }, 0.61), "missed");
  t.equal(judge({ least: 0.9 }, 0.9), "met");
  t.equal(judge({ least: 0.9 }, 0.89), "missed");
  t.equal(judge({ most: 1, least: 1 }, 0), "missed");
});

t.test("judge() never calls an aim missed", async (t) => {
  t.equal(judge({ aim: 1.3 }, 4), "aim");
  t.equal(judge({ aim: 1.3 }, 1.2), "aim met");
  t.equal(judge({ most: 1.3, aim: 1 }, 1.2), "met");
  t.equal(judge({ most: 1.3, aim: 1 }, 1), "aim met");
});

t.test("judge() does not take NaN for a success", async (t) => {
  t.equal(judge({ most: 1 }, Number.NaN), "missed");
  t.equal(judge({ least: 1 }, Number.NaN), "missed");
});

t.test("formatTarget() names the bound", async (t) => {
  t.equal(formatTarget({ most: 1, least: 1 }), "= 1");
  t.equal(formatTarget({ most: 20 }), "≤ 20");
  t.equal(formatTarget({ least: 0.9 }), "≥ 0.9");
  t.equal(formatTarget({ aim: 1.3 }), "aim ≤ 1.3");
  t.equal(formatTarget({ most: 1.3, aim: 1 }), "≤ 1.3, aim ≤ 1");
});
