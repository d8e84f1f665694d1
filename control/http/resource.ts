import type { Static } from "typebox";
import type { HostPolicy } from "#contract/gateway-api.ts";
import { type PreviewOrigin, previewUrl } from "#contract/preview-host.ts";
import { ApiError } from "../api-error.ts";
import { formatDestination, parseDestination } from "../egress/destination.ts";
import { defaultPolicy as defaults, type External, type Sandbox, type SandboxPolicy } from "../sandboxes/sandbox.ts";
import { type Schedule, scheduleProblem } from "../sandboxes/schedule.ts";
import { fromWireWakePolicy, toWireWakePolicy, type WireWakePolicy } from "../sandboxes/wake-policy.ts";
import { fromWireCors, toWireCors } from "./cors-field.ts";
import { fromWireEnv, type Seal, toWireEnv } from "./env-field.ts";
import { mergePatch } from "./merge-patch.ts";
import type { createBody, PatchBody, Resource } from "./schemas.ts";
import { fromWireSnapshots, toWireSnapshots } from "./snapshots-field.ts";

/** What the wire form of a sandbox depends on besides the sandbox. */
export type ResourceSettings = {
  readonly origin: PreviewOrigin;
  readonly idleThresholdSeconds: number;
  /** null: the engine has no images. */
  readonly defaultImage: string | null;
};

/** A sandbox as the API shows it. */
export function toResource(
  sandbox: Sandbox,
  { origin, idleThresholdSeconds, defaultImage }: ResourceSettings,
): Resource {
  const { id, ports, external } = sandbox;
  return {
    id,
    status: sandbox.status,
    status_reason: toReason(sandbox),
    generation: sandbox.generation,
    ports: [...ports],
    previews: ports.map((port) => ({ port, url: previewUrl(origin, id, port) })),
    visibility: sandbox.visibility,
    idle_policy: sandbox.idlePolicy,
    idle_seconds: sandbox.idleSeconds ?? idleThresholdSeconds,
    sleep_mode: sandbox.sleepMode,
    image: sandbox.image ?? defaultImage,
    cmd: sandbox.cmd === null ? null : [...sandbox.cmd],
    env: toWireEnv(sandbox),
    memory_high: sandbox.memoryHigh,
    memory_max: sandbox.memoryMax,
    cpu: sandbox.cpu,
    runtime: sandbox.runtime,
    disk: sandbox.disk,
    host_policy: toHostPolicy(sandbox),
    wake_policy: toWireWakePolicy(sandbox.wakePolicy),
    cors: toWireCors(sandbox.cors),
    schedule: sandbox.schedule && {
      timezone: sandbox.schedule.timezone,
      wake: [...sandbox.schedule.wake],
      sleep: [...sandbox.schedule.sleep],
    },
    egress: { allow: [...sandbox.egressAllow] },
    snapshots: toWireSnapshots(sandbox.snapshots),
    from_snapshot: sandbox.fromSnapshot,
    external: { user_id: external.userId, project_id: external.projectId, workspace_id: external.workspaceId },
    labels: sandbox.labels,
    created_at: toTime(sandbox.createdAt),
    updated_at: toTime(sandbox.updatedAt),
    started_at: sandbox.startedAt === null ? null : toTime(sandbox.startedAt),
    last_active_at: toTime(sandbox.lastActiveAt),
    keepalive_until: sandbox.keepaliveUntil === null ? null : toTime(sandbox.keepaliveUntil),
  };
}

/** RFC 3339 in UTC with milliseconds. */
export function toTime(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}

/** What a create's body decides, but for what its workspace begins with; the rest is left to the defaults. */
export function toPolicy(body: Omit<Static<typeof createBody>, "id">, seal: Seal): SandboxPolicy {
  return { ...defaults, ...toChanges(body, defaults, seal) };
}

/** What a merge patch changes (RFC 7396): null brings back the default, objects are merged key by key. */
export function toChanges(patch: PatchBody, current: SandboxPolicy, seal: Seal): Partial<SandboxPolicy> {
  const changes: { -readonly [Field in keyof SandboxPolicy]?: SandboxPolicy[Field] } = {};
  if (patch.ports !== undefined) changes.ports = patch.ports;
  if (patch.image !== undefined) changes.image = patch.image;
  if (patch.cmd !== undefined) changes.cmd = patch.cmd;
  if (patch.env !== undefined) Object.assign(changes, fromWireEnv(patch.env, current, seal));
  if (patch.visibility !== undefined) changes.visibility = patch.visibility ?? defaults.visibility;
  if (patch.idle_policy !== undefined) changes.idlePolicy = patch.idle_policy ?? defaults.idlePolicy;
  if (patch.idle_seconds !== undefined) changes.idleSeconds = patch.idle_seconds;
  if (patch.sleep_mode !== undefined) changes.sleepMode = patch.sleep_mode ?? defaults.sleepMode;
  if (patch.memory_high !== undefined) changes.memoryHigh = patch.memory_high;
  if (patch.memory_max !== undefined) changes.memoryMax = patch.memory_max ?? defaults.memoryMax;
  if (patch.cpu !== undefined) changes.cpu = patch.cpu;
  if (patch.runtime !== undefined) changes.runtime = patch.runtime;
  if (patch.disk !== undefined) changes.disk = patch.disk;
  if (patch.labels !== undefined) changes.labels = mergePatch(current.labels, patch.labels);
  if (patch.external !== undefined) changes.external = toExternal(patch.external, current.external);
  if (patch.host_policy !== undefined) Object.assign(changes, fromHostPolicy(patch.host_policy, current));
  if (patch.cors !== undefined) changes.cors = fromWireCors(patch.cors, current.cors);
  if (patch.schedule !== undefined) changes.schedule = toSchedule(patch.schedule, current.schedule);
  if (patch.egress !== undefined) changes.egressAllow = toEgressAllow(patch.egress, current.egressAllow);
  if (patch.snapshots !== undefined) changes.snapshots = fromWireSnapshots(patch.snapshots, current.snapshots);
  if (patch.wake_policy !== undefined) {
    const merged = mergePatch(toWireWakePolicy(current.wakePolicy), patch.wake_policy);
    changes.wakePolicy = fromWireWakePolicy(merged as WireWakePolicy);
  }
  return changes;
}

function toReason({ reason }: Sandbox): Resource["status_reason"] {
  if (reason === null) return null;
  const { code, message, exitCode = null, signal = null } = reason;
  return code === "exited" ? { code, message, exit_code: exitCode, signal } : { code, message };
}

function toExternal(patch: PatchBody["external"], current: External): External {
  if (patch === null || patch === undefined) return defaults.external;
  const { user_id = current.userId, project_id = current.projectId, workspace_id = current.workspaceId } = patch;
  return { userId: user_id, projectId: project_id, workspaceId: workspace_id };
}

/** Throws ApiError `invalid_request` for one that cannot be followed. */
function toSchedule(patch: PatchBody["schedule"], current: Schedule | null): Schedule | null {
  if (patch === null || patch === undefined) return null;
  const { timezone, wake, sleep } = { ...current, ...patch };
  const schedule = { timezone: timezone ?? "UTC", wake: wake ?? [], sleep: sleep ?? [] };
  const problem = scheduleProblem(schedule);
  if (problem !== undefined) throw new ApiError("invalid_request", `body: schedule: ${problem}`);
  return schedule;
}

/** Throws ApiError `invalid_request` for what nobody can connect to. */
function toEgressAllow(patch: PatchBody["egress"], current: readonly string[]): readonly string[] {
  const allow = patch === null || patch === undefined ? [] : patch.allow === undefined ? current : (patch.allow ?? []);
  return allow.map((text) => {
    const destination = parseDestination(text);
    if (destination !== undefined) return formatDestination(destination);
    throw new ApiError("invalid_request", `body: egress: ${JSON.stringify(text)} is no address, CIDR block or name`);
  });
}

function toHostPolicy({ hostPolicy, hostPolicyByPort }: SandboxPolicy): Resource["host_policy"] {
  if (Object.keys(hostPolicyByPort).length === 0) return hostPolicy;
  return { default: hostPolicy, ports: hostPolicyByPort };
}

type HostPolicies = Pick<SandboxPolicy, "hostPolicy" | "hostPolicyByPort">;

function fromHostPolicy(patch: NonNullable<PatchBody["host_policy"]> | null, current: HostPolicies): HostPolicies {
  if (patch === null) return { hostPolicy: defaults.hostPolicy, hostPolicyByPort: {} };
  if (typeof patch === "string") return { hostPolicy: patch, hostPolicyByPort: {} };
  const hostPolicy = patch.default === undefined ? current.hostPolicy : (patch.default ?? defaults.hostPolicy);
  if (patch.ports === undefined) return { hostPolicy, hostPolicyByPort: current.hostPolicyByPort };
  const hostPolicyByPort = mergePatch(current.hostPolicyByPort, patch.ports) as Record<string, HostPolicy>;
  return { hostPolicy, hostPolicyByPort };
}
