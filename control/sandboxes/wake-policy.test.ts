import t from "tap";
import { EnvironmentReader } from "#contract/environment.ts";
import { fromWireWakePolicy, layWakePolicy, readWakePolicy, toWireWakePolicy } from "./wake-policy.ts";

const wire = {
  navigation: { wake: true },
  crawler: { wake: false, extend: false },
  max_unattended_seconds: 60,
  noindex: false,
};

t.test("fromWireWakePolicy() and toWireWakePolicy() are each other's inverse", async (t) => {
  t.same(toWireWakePolicy(fromWireWakePolicy(wire)), wire);
  t.same(toWireWakePolicy(fromWireWakePolicy({})), {});
});

t.test("layWakePolicy() overrides field by field", async (t) => {
  const base = { classes: { api: { wake: false, extend: false }, socket: { wake: false } }, noindex: true };
  const laid = layWakePolicy({ classes: { api: { wake: true } }, maxUnattendedSeconds: 5 }, base);
  t.same(laid, {
    classes: { api: { wake: true, extend: false }, socket: { wake: false } },
    noindex: true,
    maxUnattendedSeconds: 5,
  });
});

t.test("readWakePolicy() takes a policy and names anything else as a problem", async (t) => {
  const read = (text: string) => {
    const reader = new EnvironmentReader({ SANDBOXD_WAKE_POLICY: text });
    const policy = readWakePolicy(reader, "SANDBOXD_WAKE_POLICY");
    reader.end();
    return policy;
  };
  t.match(read(JSON.stringify(wire)), { classes: { navigation: { wake: true } }, maxUnattendedSeconds: 60 });
  t.same(read(""), { classes: {} });
  const bad = [
    "{",
    "[]",
    "null",
    "1",
    '{"browsing":{}}',
    '{"api":true}',
    '{"api":{"wake":1}}',
    '{"api":{"sleep":true}}',
  ];
  const worse = ['{"noindex":"yes"}', '{"max_unattended_seconds":0}', '{"max_unattended_seconds":1.5}'];
  for (const text of [...bad, ...worse])
    t.throws(() => read(text), { message: /Cannot parse SANDBOXD_WAKE_POLICY/ }, text);
});
