import Type, { type Static } from "typebox";
import { hostPolicies, requestClasses, sandboxStatuses } from "#contract/gateway-api.ts";
import { byteSizePattern } from "../sandboxes/byte-size.ts";

/** No field but these: a misspelt one is refused by name. */
const strict = { additionalProperties: false } as const;
const nullable = <const T extends Type.TSchema>(schema: T) => Type.Union([schema, Type.Null()]);
const text = (maxLength: number) => Type.String({ minLength: 1, maxLength, pattern: "^[^\\u0000]*$" });

const size = Type.String({ pattern: byteSizePattern, description: "Bytes, or with K, M, G or T in powers of 1024" });
const port = Type.Integer({ minimum: 1, maximum: 65_535 });
const ports = Type.Array(port, { minItems: 1, maxItems: 64, uniqueItems: true });
const cmd = Type.Array(Type.String({ maxLength: 65_536, pattern: "^[^\\u0000]*$" }), { minItems: 1, maxItems: 1024 });
const variable = Type.String({ pattern: "^[A-Za-z_][A-Za-z0-9_]*$" });
const value = Type.String({ maxLength: 65_536, pattern: "^[^\\u0000]*$" });
const marked = Type.Object(
  { value: Type.Optional(value), secret: Type.Optional(Type.Boolean()) },
  {
    ...strict,
    description: "With `secret: true` the value is never shown again; without a value a secret stays as it is",
  },
);
const labelKey = Type.String({ pattern: "^[A-Za-z0-9](?:[A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?$" });
const labelValue = Type.String({ maxLength: 255 });
const portKey = Type.String({ pattern: "^[1-9][0-9]{0,4}$" });
const hostPolicy = Type.Enum([...hostPolicies]);

/** Whose something is, in the integrator's own words. */
export const externalId = text(255);

const external = Type.Object(
  {
    user_id: Type.Optional(nullable(externalId)),
    project_id: Type.Optional(nullable(externalId)),
    workspace_id: Type.Optional(nullable(externalId)),
  },
  strict,
);

const rule = Type.Object(
  { wake: Type.Optional(nullable(Type.Boolean())), extend: Type.Optional(nullable(Type.Boolean())) },
  strict,
);
const wakePolicy = Type.Object(
  {
    ...(Object.fromEntries(requestClasses.map((name) => [name, Type.Optional(nullable(rule))])) as Record<
      (typeof requestClasses)[number],
      Type.TOptional<Type.TUnion<[typeof rule, Type.TNull]>>
    >),
    max_unattended_seconds: Type.Optional(nullable(Type.Integer({ minimum: 1 }))),
    noindex: Type.Optional(nullable(Type.Boolean())),
  },
  strict,
);

const hostPolicyByPort = Type.Object(
  {
    default: Type.Optional(nullable(hostPolicy)),
    ports: Type.Optional(nullable(Type.Record(portKey, nullable(hostPolicy), strict))),
  },
  { ...strict, description: "One policy, or a default with exceptions by port" },
);

const cronTimes = Type.Array(text(100), { maxItems: 20, description: "Cron expressions of five fields" });
const schedule = Type.Object(
  {
    timezone: Type.Optional(nullable(text(64))),
    wake: Type.Optional(nullable(cronTimes)),
    sleep: Type.Optional(nullable(cronTimes)),
  },
  { ...strict, description: "When it is woken and put to sleep, by the clock of an IANA time zone (default UTC)" },
);

const atLeastOne = Type.Integer({ minimum: 1, maximum: 100_000 });
const snapshots = Type.Object(
  {
    timezone: Type.Optional(nullable(text(64))),
    at: Type.Optional(nullable(cronTimes)),
    keep: Type.Optional(nullable(atLeastOne)),
    keep_days: Type.Optional(nullable(atLeastOne)),
  },
  {
    ...strict,
    description: "When snapshots are taken by the clock of a time zone, and how many and how old ones are kept",
  },
);
/** A ULID in either case; what is none names nothing. */
export const snapshotReference = Type.String({ minLength: 1, maxLength: 64 });
export const templateName = Type.String({ pattern: "^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$" });

const token = Type.String({ pattern: "^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$" });
const origins = Type.Array(Type.String({ pattern: "^(?:\\*|https?://[A-Za-z0-9.-]{1,253}(?::[0-9]{1,5})?)$" }), {
  minItems: 1,
  maxItems: 100,
  description: "Origins whose pages may call the preview, or `*` alone and without credentials",
});
const tokens = (maxItems: number) => Type.Array(token, { maxItems });
const maxAge = Type.Integer({ minimum: 0, maximum: 86_400 });
const corsDescription = "Preflights are answered at the edge, without a credential and without a wake";
const cors = Type.Object(
  {
    origins,
    methods: Type.Optional(tokens(50)),
    headers: Type.Optional(tokens(100)),
    credentials: Type.Optional(Type.Boolean()),
    max_age_seconds: Type.Optional(maxAge),
  },
  { ...strict, description: corsDescription },
);
const corsPatch = Type.Object(
  {
    origins: Type.Optional(nullable(origins)),
    methods: Type.Optional(nullable(tokens(50))),
    headers: Type.Optional(nullable(tokens(100))),
    credentials: Type.Optional(nullable(Type.Boolean())),
    max_age_seconds: Type.Optional(nullable(maxAge)),
  },
  { ...strict, description: corsDescription },
);

const egressAllow = Type.Array(text(300), {
  maxItems: 64,
  description:
    "Private addresses, CIDR blocks and names that it may connect to, each with or without a port: `10.1.2.0/24`, `db.internal:5432`",
});
const egressDescription =
  "What it may connect to besides the public internet; never this machine, siblings or metadata";
const egressPatch = Type.Object(
  { allow: Type.Optional(nullable(egressAllow)) },
  { ...strict, description: egressDescription },
);

/** What an integrator may decide, each field in the form of a merge patch (RFC 7396): null takes a decision back. */
const policyFields = {
  image: Type.Optional(nullable(text(512))),
  cmd: Type.Optional(nullable(cmd)),
  env: Type.Optional(nullable(Type.Record(variable, nullable(Type.Union([value, marked])), strict))),
  visibility: Type.Optional(nullable(Type.Enum(["public", "private"]))),
  idle_policy: Type.Optional(nullable(Type.Enum(["sleep", "always_on"]))),
  idle_seconds: Type.Optional(nullable(Type.Integer({ minimum: 1, maximum: 31_536_000 }))),
  sleep_mode: Type.Optional(nullable(Type.Enum(["stop", "pause", "auto"]))),
  memory_high: Type.Optional(nullable(size)),
  memory_max: Type.Optional(nullable(size)),
  cpu: Type.Optional(nullable(Type.Number({ exclusiveMinimum: 0, maximum: 1024 }))),
  runtime: Type.Optional(nullable(Type.String({ pattern: "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$" }))),
  disk: Type.Optional(nullable(size)),
  host_policy: Type.Optional(nullable(Type.Union([hostPolicy, hostPolicyByPort]))),
  wake_policy: Type.Optional(nullable(wakePolicy)),
  cors: Type.Optional(nullable(corsPatch)),
  schedule: Type.Optional(nullable(schedule)),
  snapshots: Type.Optional(nullable(snapshots)),
  egress: Type.Optional(nullable(egressPatch)),
  external: Type.Optional(nullable(external)),
  labels: Type.Optional(nullable(Type.Record(labelKey, nullable(labelValue), strict))),
};

/** What a workspace begins with is decided once. */
const origin = {
  from_snapshot: Type.Optional(nullable(snapshotReference)),
  template: Type.Optional(nullable(templateName)),
};

export const createBody = Type.Object({ id: Type.Optional(Type.String()), ports, ...policyFields, ...origin }, strict);
export const patchBody = Type.Object({ ports: Type.Optional(ports), ...policyFields }, strict);
export type PatchBody = Static<typeof patchBody>;

const time = Type.String({ format: "date-time" });

export const resource = Type.Object(
  {
    id: Type.String(),
    status: Type.Enum([...sandboxStatuses]),
    status_reason: nullable(
      Type.Object({
        code: Type.String(),
        message: Type.String(),
        exit_code: Type.Optional(nullable(Type.Integer())),
        signal: Type.Optional(nullable(Type.String())),
      }),
    ),
    generation: Type.Integer(),
    ports: Type.Array(Type.Integer()),
    previews: Type.Array(Type.Object({ port: Type.Integer(), url: Type.String() })),
    visibility: Type.Enum(["public", "private"]),
    idle_policy: Type.Enum(["sleep", "always_on"]),
    idle_seconds: Type.Integer(),
    sleep_mode: Type.Enum(["stop", "pause", "auto"]),
    image: nullable(Type.String()),
    cmd: nullable(Type.Array(Type.String())),
    env: Type.Record(Type.String(), Type.Union([Type.String(), Type.Object({ secret: Type.Literal(true) })])),
    memory_high: nullable(Type.String()),
    memory_max: Type.String(),
    cpu: nullable(Type.Number()),
    runtime: nullable(Type.String({ description: "Such as runsc; null: the configured one" })),
    disk: nullable(Type.String()),
    host_policy: Type.Union([hostPolicy, hostPolicyByPort]),
    wake_policy: wakePolicy,
    cors: nullable(cors),
    schedule: nullable(Type.Object({ timezone: Type.String(), wake: cronTimes, sleep: cronTimes })),
    snapshots: nullable(
      Type.Object({
        timezone: Type.String(),
        at: cronTimes,
        keep: nullable(Type.Integer()),
        keep_days: nullable(Type.Integer()),
      }),
    ),
    from_snapshot: nullable(Type.String()),
    egress: Type.Object({ allow: egressAllow }, { description: egressDescription }),
    external: Type.Object({
      user_id: nullable(Type.String()),
      project_id: nullable(Type.String()),
      workspace_id: nullable(Type.String()),
    }),
    labels: Type.Record(Type.String(), Type.String()),
    created_at: time,
    updated_at: time,
    started_at: nullable(time),
    last_active_at: time,
    keepalive_until: nullable(time),
  },
  { title: "Sandbox" },
);
export type Resource = Static<typeof resource>;

export const idParams = Type.Object({ id: Type.String() });

export const versionedError = Type.Object(
  { error: Type.Object({ code: Type.String(), message: Type.String(), retryable: Type.Boolean() }) },
  { title: "Error" },
);
export const shortError = Type.Object({ error: Type.String() }, { title: "ShortError" });
