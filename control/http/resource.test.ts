import t from "tap";
import { newSandboxId } from "../sandboxes/create-sandbox.ts";
import { newSandbox, type Sandbox, type SandboxPolicy } from "../sandboxes/sandbox.ts";
import { policy } from "../testing/fixture.ts";
import { toChanges, toPolicy, toResource, toTime } from "./resource.ts";
import type { PatchBody } from "./schemas.ts";

const settings = {
  origin: { domain: "example.com", scheme: "https", publicPort: 443 },
  idleThresholdSeconds: 2100,
  defaultImage: "base",
} as const;
const seal = (name: string, value: string) => `${name} ${value.length}`;
const policyOf = (body: Parameters<typeof toPolicy>[0]) => toPolicy(body, seal);
const changesOf = (patch: PatchBody, current: SandboxPolicy) => toChanges(patch, current, seal);
const sandbox = newSandbox(newSandboxId(), policy, 0);

t.test("toPolicy() fills in the defaults", async (t) => {
  t.same(policyOf({ ports: [3000], cmd: ["app"] }), policy);
});

t.test("toResource() shows what counts: the default image and threshold", async (t) => {
  t.match(toResource(sandbox, settings), { image: "base", idle_seconds: 2100 });
  t.match(toResource({ ...sandbox, image: "own", idleSeconds: 5 }, settings), { image: "own", idle_seconds: 5 });
  t.match(toResource(sandbox, { ...settings, defaultImage: null }), { image: null });
});

t.test("toResource() tells code and signal of an exit, and of nothing else", async (t) => {
  const reason = { code: "exited", message: "m", exitCode: 1, logTail: ["secret"] } as const;
  const shown = toResource({ ...sandbox, reason }, settings).status_reason;
  t.same(shown, { code: "exited", message: "m", exit_code: 1, signal: null });
  const failed = toResource({ ...sandbox, reason: { code: "start_failed", message: "m" } }, settings).status_reason;
  t.same(failed, { code: "start_failed", message: "m" });
});

t.test("toResource() and toChanges() agree on every field that can be changed", async (t) => {
  const rich: Sandbox = {
    ...sandbox,
    ...{
      hostPolicy: "preserve",
      hostPolicyByPort: { 3000: "localhost" },
      labels: { a: "b" },
      env: { A: "1" },
      disk: "1G",
    },
    ...{ wakePolicy: { classes: { api: { wake: false } }, noindex: false, maxUnattendedSeconds: 9 }, idleSeconds: 7 },
    ...{ external: { userId: "u", projectId: "p", workspaceId: "w" }, image: "own", cpu: 0.5 },
  };
  const {
    id,
    status,
    status_reason,
    generation,
    previews,
    created_at,
    updated_at,
    started_at,
    last_active_at,
    keepalive_until,
    from_snapshot,
    ...body
  } = toResource(rich, settings);
  t.ok([
    id,
    status,
    status_reason,
    generation,
    previews,
    created_at,
    updated_at,
    started_at,
    last_active_at,
    keepalive_until,
    from_snapshot,
  ]);
  const changes = changesOf(body, policy);
  for (const [field, value] of Object.entries(changes)) t.same(rich[field as keyof typeof rich], value, field);
  const { fromSnapshot, ...changeable } = policy;
  t.equal(fromSnapshot, null, "which is decided once");
  t.same(Object.keys(changes).sort(), Object.keys(changeable).sort());
});

t.test("toChanges() leaves alone what a patch does not name", async (t) => {
  t.same(changesOf({}, policy), {});
  const current = { ...policy, external: { userId: "u", projectId: "p", workspaceId: "w" } };
  t.same(changesOf({ external: { project_id: null } }, current), {
    external: { userId: "u", projectId: null, workspaceId: "w" },
  });
});

t.test("toChanges() brings back the default for null", async (t) => {
  const nulls = {
    visibility: null,
    idle_policy: null,
    sleep_mode: null,
    memory_max: null,
    host_policy: null,
    external: null,
    wake_policy: null,
  };
  t.same(changesOf(nulls, { ...policy, visibility: "private", hostPolicy: "preserve" }), {
    ...{ visibility: "public", idlePolicy: "sleep", sleepMode: "stop", memoryMax: "10G", wakePolicy: { classes: {} } },
    ...{ hostPolicy: "localhost", hostPolicyByPort: {}, external: policy.external },
  });
  t.same(changesOf({ image: null, cpu: null, memory_high: null }, policy), {
    image: null,
    cpu: null,
    memoryHigh: null,
  });
});

t.test("toTime() is RFC 3339 in UTC with milliseconds", async (t) => {
  t.equal(toTime(1_795_440_000_007), "2026-11-23T13:20:00.007Z");
});

t.test("toChanges() merges a schedule and refuses one that cannot be followed", async (t) => {
  const none = policyOf({ ports: [3000] });
  t.equal(none.schedule, null);
  const { schedule } = changesOf({ schedule: { wake: ["0 9 * * *"] } }, none);
  t.same(schedule, { timezone: "UTC", wake: ["0 9 * * *"], sleep: [] });
  const patch = { schedule: { timezone: "Europe/Berlin", wake: null, sleep: ["0 18 * * *"] } };
  const merged = { timezone: "Europe/Berlin", wake: [], sleep: ["0 18 * * *"] };
  t.same(changesOf(patch, { ...none, schedule: schedule! }), { schedule: merged });
  t.same(changesOf({ schedule: null }, { ...none, schedule: merged }), { schedule: null });
  const wrong = { schedule: { timezone: "Nowhere", wake: ["0 9 * * *"] } };
  t.throws(() => changesOf(wrong, none), { code: "invalid_request", message: /schedule: timezone "Nowhere"/ });
});

t.test("toChanges() merges a CORS policy and refuses one that allows nobody", async (t) => {
  const none = policyOf({ ports: [3000] });
  const { cors } = changesOf({ cors: { origins: ["https://A.example"], methods: ["GET"], credentials: true } }, none);
  t.same(cors, { origins: ["https://a.example"], methods: ["GET"], credentials: true });
  const patched = changesOf({ cors: { methods: null, max_age_seconds: 60 } }, { ...none, cors: cors! });
  t.same(patched.cors, { origins: ["https://a.example"], credentials: true, maxAgeSeconds: 60 });
  t.same(changesOf({ cors: null }, { ...none, cors: cors! }), { cors: null });
  const refused = { code: "invalid_request", message: /cors\.origins/ };
  t.throws(() => changesOf({ cors: { credentials: true } }, none), refused);
  t.throws(() => changesOf({ cors: { origins: null } }, { ...none, cors: cors! }), refused);
  t.throws(() => changesOf({ cors: { origins: ["*"] } }, { ...none, cors: cors! }), refused, "with credentials");
});
