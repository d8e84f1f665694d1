import t from "tap";
import * as decode from "./decode.ts";

const refuses = (decoder: decode.Decoder<unknown>, value: unknown, message: string) =>
  t.throws(() => decoder(value, "$"), { name: "DecodeError", message }, JSON.stringify(value));

t.test("the plain decoders take their type alone", async (t) => {
  t.equal(decode.string("", "$"), "");
  t.equal(decode.boolean(false, "$"), false);
  t.equal(decode.count(0, "$"), 0);
  refuses(decode.string, 1, "$: expected a string, got 1");
  refuses(decode.boolean, "true", '$: expected a boolean, got "true"');
  for (const value of [-1, 1.5, 2 ** 53, "1", null, Number.NaN])
    t.throws(() => decode.count(value, "$"), decode.DecodeError);
});

t.test("object() refuses fields that it does not know, by their path", async (t) => {
  const decoder = decode.object({ a: decode.count, b: decode.optional(decode.string) });
  t.same(decoder({ a: 1 }, "$"), { a: 1 });
  t.same(decoder({ a: 1, b: "x" }, "$"), { a: 1, b: "x" });
  refuses(decoder, { a: 1, c: 2 }, "$.c: expected no such field, got 2");
  refuses(decoder, {}, "$.a: expected a count, got undefined");
  refuses(decoder, { a: 1, b: null }, "$.b: expected a string, got null");
  for (const value of [null, [], "x"]) t.throws(() => decoder(value, "$"), decode.DecodeError);
  t.throws(() => decoder(JSON.parse('{"a":1,"__proto__":{}}'), "$"), decode.DecodeError);
});

t.test("array(), record(), nullable() and literal() name the place", async (t) => {
  refuses(decode.array(decode.count), [1, "x"], '$[1]: expected a count, got "x"');
  refuses(decode.record(decode.boolean), { a: true, b: 1 }, "$.b: expected a boolean, got 1");
  t.equal(decode.nullable(decode.count)(null, "$"), null);
  refuses(decode.literal("a", "b"), "c", '$: expected a | b, got "c"');
});

t.test("union() tells its members apart by one field", async (t) => {
  const decoder = decode.union("type", {
    a: decode.object({ type: decode.literal("a"), x: decode.count }),
    b: decode.object({ type: decode.literal("b") }),
  });
  t.same(decoder({ type: "a", x: 1 }, "$"), { type: "a", x: 1 });
  refuses(decoder, { type: "b", x: 1 }, "$.x: expected no such field, got 1");
  refuses(decoder, { type: "toString" }, '$.type: expected a | b, got "toString"');
  refuses(decoder, {}, "$.type: expected a | b, got undefined");
});

t.test("decodeJson() refuses what is no JSON", async (t) => {
  t.equal(decode.decodeJson(decode.count, "1"), 1);
  t.throws(() => decode.decodeJson(decode.count, "{"), { name: "DecodeError", message: "not JSON: {" });
});

t.test("parsed() narrows or refuses", async (t) => {
  const even = decode.parsed(decode.count, (value) => (value % 2 === 0 ? value : undefined), "an even count");
  t.equal(even(2, "$"), 2);
  refuses(even, 3, "$: expected an even count, got 3");
});
