import t from "tap";
import { mergePatch } from "./merge-patch.ts";

t.test("mergePatch() passes RFC 7396's own examples for objects", async (t) => {
  const examples = [
    [{ a: "b" }, { a: "c" }, { a: "c" }],
    [{ a: "b" }, { b: "c" }, { a: "b", b: "c" }],
    [{ a: "b" }, { a: null }, {}],
    [{ a: "b", b: "c" }, { a: null }, { b: "c" }],
    [{ a: ["b"] }, { a: "c" }, { a: "c" }],
    [{ a: "c" }, { a: ["b"] }, { a: ["b"] }],
    [{ a: { b: "c" } }, { a: { b: "d", c: null } }, { a: { b: "d" } }],
    [{ a: [{ b: "c" }] }, { a: [1] }, { a: [1] }],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ] as const;
  for (const [target, patch, result] of examples) t.same(mergePatch(target, patch), result, JSON.stringify(patch));
});

t.test("mergePatch() with null empties, and changes nothing in place", async (t) => {
  const target = { a: { b: 1 } };
  t.same(mergePatch(target, null), {});
  mergePatch(target, { a: { b: 2 } });
  t.same(target, { a: { b: 1 } });
});
