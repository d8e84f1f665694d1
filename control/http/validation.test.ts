import t from "tap";
import Type from "typebox";
import { compileValidator } from "./validation.ts";

const schema = Type.Object(
  {
    ports: Type.Array(Type.Integer({ minimum: 1 })),
    mode: Type.Optional(Type.Union([Type.Enum(["a", "b"]), Type.Null()])),
    deep: Type.Optional(Type.Object({ x: Type.Boolean() }, { additionalProperties: false })),
  },
  { additionalProperties: false },
);

function check(value: unknown, httpPart = "body", of: Type.TSchema = schema) {
  const validate = compileValidator({ schema: of, httpPart, method: "POST", url: "/" });
  return validate(value) as { value?: unknown; error?: Error };
}

t.test("compileValidator() takes a body as it is", async (t) => {
  t.same(check({ ports: [1] }).value, { ports: [1] });
  t.match(check({ ports: ["1"] }).error?.message, /ports\[0\]/);
});

t.test("compileValidator() names the field", async (t) => {
  t.equal(check({ ports: [1], prots: 1 }).error?.message, "body: there is no field prots");
  t.equal(check({ ports: [1], deep: { x: true, y: 1 } }).error?.message, "body: there is no field deep.y");
  t.equal(check({}).error?.message, "body: the field ports is missing");
  t.equal(check(undefined).error?.message, "body: the field ports is missing");
  t.equal(check({ ports: [1], deep: {} }).error?.message, "body: the field deep.x is missing");
  t.equal(check({ ports: [1], mode: "c" }).error?.message, 'body: mode must be one of "a", "b"');
  t.equal(check({ ports: [1, 0] }).error?.message, "body: ports[1] must be >= 1");
  t.match(check([]).error?.message, /^body must be object/);
});

t.test("compileValidator() converts the text of a URL", async (t) => {
  const query = Type.Object(
    { limit: Type.Optional(Type.Integer()), follow: Type.Optional(Type.Boolean()) },
    { additionalProperties: false },
  );
  t.same(check({ limit: "5", follow: "true" }, "querystring", query).value, { limit: 5, follow: true });
  t.same(check({ follow: "0" }, "querystring", query).value, { follow: false });
  for (const limit of ["x", "", "1.5", "0x10", "1e1", " 5", "+5", "05", "true", ["1", "2"]]) {
    t.match(check({ limit }, "querystring", query).error?.message, /^query: limit must be integer/, String(limit));
  }
  for (const follow of ["yes", "", "TRUE", "2", "constructor"]) {
    t.match(check({ follow }, "querystring", query).error?.message, /^query: follow must be boolean/, follow);
  }
  t.match(check({ page: "1" }, "querystring", query).error?.message, /^query: there is no field page/);
});
