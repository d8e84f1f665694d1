import t from "tap";
import { apiErrorCodes, refusalCodes, wakeRefusalCodes } from "./error-codes.ts";

t.test("the codes are each there once, and spelt alike", async (t) => {
  for (const codes of [refusalCodes, wakeRefusalCodes, apiErrorCodes]) {
    t.equal(new Set<string>(codes).size, codes.length);
    t.ok(codes.every((code) => /^[a-z]+(?:_[a-z]+)*$/.test(code)));
  }
});

t.test("whatever refuses a wake can be told to a browser", async (t) => {
  const told: readonly string[] = refusalCodes;
  t.ok(wakeRefusalCodes.every((code) => told.includes(code)));
});
