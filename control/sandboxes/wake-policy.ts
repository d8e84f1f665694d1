import type { EnvironmentReader } from "#contract/environment.ts";
import { type RequestClass, requestClasses, type WakeRule } from "#contract/gateway-api.ts";

/**
 * What classes of requests may do to a sandbox: wake it, extend its activity. A class or a field that is left out
 * follows the global policy, and that the built-in one.
 */
export type WakePolicy = {
  readonly classes: Readonly<Partial<Record<RequestClass, WakeRule>>>;
  readonly maxUnattendedSeconds?: number;
  /** Whether answers ask search engines to stay away. */
  readonly noindex?: boolean;
};

export const emptyWakePolicy: WakePolicy = { classes: {} };

/** The policy as it is written on the wire: classes beside the other fields. */
export type WireWakePolicy = Readonly<Partial<Record<RequestClass, WakeRule>>> & {
  readonly max_unattended_seconds?: number;
  readonly noindex?: boolean;
};

export function fromWireWakePolicy(wire: WireWakePolicy): WakePolicy {
  const { max_unattended_seconds, noindex, ...classes } = wire;
  return {
    classes,
    ...(max_unattended_seconds !== undefined && { maxUnattendedSeconds: max_unattended_seconds }),
    ...(noindex !== undefined && { noindex }),
  };
}

export function toWireWakePolicy({ classes, maxUnattendedSeconds, noindex }: WakePolicy): WireWakePolicy {
  return {
    ...classes,
    ...(maxUnattendedSeconds !== undefined && { max_unattended_seconds: maxUnattendedSeconds }),
    ...(noindex !== undefined && { noindex }),
  };
}

/** Lays a sandbox's policy over the global one, field by field. */
export function layWakePolicy(over: WakePolicy, base: WakePolicy): WakePolicy {
  const classes: Partial<Record<RequestClass, WakeRule>> = { ...base.classes };
  for (const [name, rule] of Object.entries(over.classes) as [RequestClass, WakeRule][]) {
    classes[name] = { ...classes[name], ...rule };
  }
  return { ...base, ...over, classes };
}

/** Reads the JSON of an environment variable; notes a problem for anything that is not a wake policy. */
export function readWakePolicy(read: EnvironmentReader, name: string): WakePolicy {
  const text = read.raw(name);
  if (text === undefined) return emptyWakePolicy;
  const policy = parseWakePolicy(text);
  if (policy !== undefined) return policy;
  read.problem(name, '{"<class>": {"wake": true|false, "extend": true|false}} as JSON', text);
  return emptyWakePolicy;
}

function parseWakePolicy(text: string): WakePolicy | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isObject(value)) return undefined;
  for (const [key, field] of Object.entries(value)) if (!isField(key, field)) return undefined;
  return fromWireWakePolicy(value as WireWakePolicy);
}

function isField(key: string, field: unknown): boolean {
  if (key === "noindex") return typeof field === "boolean";
  if (key === "max_unattended_seconds") return Number.isSafeInteger(field) && (field as number) >= 1;
  return requestClasses.includes(key as RequestClass) && isObject(field) && Object.entries(field).every(isRuleField);
}

function isRuleField([key, value]: [string, unknown]): boolean {
  return (key === "wake" || key === "extend") && typeof value === "boolean";
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
