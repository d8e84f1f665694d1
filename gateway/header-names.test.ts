import t from "tap";
import { judgedByName } from "./header-names.ts";

t.test("judgedByName() judges a name in lower case, and each spelling once", async (t) => {
  const judged: string[] = [];
  const judge = judgedByName((lower) => {
    judged.push(lower);
    return lower.startsWith("x-") ? "other" : "known";
  });
  const names = ["Host", "HOST", "X-One", "Host", "X-One"];
  t.strictSame(
    names.map((name) => judge(name).verdict),
    ["known", "known", "other", "known", "other"],
  );
  t.strictSame(
    [...names, "__proto__", "1", "x".repeat(65)].map((name) => judge(name).name),
    [...names, "__proto__", "1", "x".repeat(65)],
  );
  t.strictSame(judged.slice(0, 3), ["host", "host", "x-one"]);
});

t.test("judgedByName() keeps no long names, and not every name for ever", async (t) => {
  let judgements = 0;
  const judge = judgedByName(() => {
    judgements++;
    return "any";
  });
  for (const _ of [1, 2]) judge("x".repeat(65));
  t.equal(judgements, 2, "a long one is judged each time");
  judge("first");
  for (let index = 0; index < 1_000; index++) judge(`x-${index}`);
  judgements = 0;
  judge("first");
  t.equal(judgements, 1, "many others push it out");
});
