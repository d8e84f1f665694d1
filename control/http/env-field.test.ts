import t from "tap";
import { fromWireEnv, toWireEnv, withoutSecrets } from "./env-field.ts";

const seal = (name: string, value: string) => `sealed ${name} ${value}`;
const current = { env: { A: "1", B: "2" }, sealedEnv: { S: "old", T: "older" } };
const nothing = { env: {}, sealedEnv: {} };

t.test("fromWireEnv() merges plain and secret variables", async (t) => {
  const cases: readonly [Parameters<typeof fromWireEnv>[0], typeof current | object][] = [
    [{}, current],
    [null, nothing],
    [
      { A: null, S: null },
      { env: { B: "2" }, sealedEnv: { T: "older" } },
    ],
    [{ C: "3" }, { ...current, env: { ...current.env, C: "3" } }],
    [{ C: { value: "3" } }, { ...current, env: { ...current.env, C: "3" } }],
    [{ N: { value: "v", secret: true } }, { ...current, sealedEnv: { ...current.sealedEnv, N: "sealed N v" } }],
    [{ S: { value: "v" } }, { ...current, sealedEnv: { T: "older", S: "sealed S v" } }],
    [{ S: { secret: true } }, current],
    [{ S: {} }, current],
    [{ S: "plain" }, { env: { ...current.env, S: "plain" }, sealedEnv: { T: "older" } }],
    [{ S: { value: "p", secret: false } }, { env: { ...current.env, S: "p" }, sealedEnv: { T: "older" } }],
    [{ A: { secret: true } }, { env: { B: "2" }, sealedEnv: { ...current.sealedEnv, A: "sealed A 1" } }],
  ];
  for (const [patch, expected] of cases) t.same(fromWireEnv(patch, current, seal), expected, JSON.stringify(patch));
});

t.test("fromWireEnv() takes back what toWireEnv() shows, which has no secret", async (t) => {
  const shown = toWireEnv(current);
  t.same(shown, { A: "1", B: "2", S: { secret: true }, T: { secret: true } });
  t.same(fromWireEnv(shown, current, seal), current);
});

t.test("fromWireEnv() refuses what has no value, and to show a secret", async (t) => {
  for (const [name, entry] of [
    ["N", {}],
    ["N", { secret: true }],
    ["S", { secret: false }],
  ] as const)
    t.throws(() => fromWireEnv({ [name]: entry }, current, seal), {
      code: "invalid_request",
      message: /env\.[NS] needs a value/,
    });
});

t.test("withoutSecrets() leaves nothing but fingerprints of values that are marked", async (t) => {
  const body = { ports: [1], env: { A: "1", S: { value: "v", secret: true }, N: null, E: { secret: true } } };
  const env = { ...body.env, S: { value: "print", secret: true } };
  t.same(
    withoutSecrets(body, () => "print"),
    { ...body, env },
  );
  t.same(
    withoutSecrets({ ports: [1] }, () => "print"),
    { ports: [1] },
  );
});
