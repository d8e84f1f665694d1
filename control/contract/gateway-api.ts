import { accessMessage, credentialPlaces, revocationMessage } from "./access.ts";
import { corsPolicy } from "./cors.ts";
import * as decode from "./decode.ts";
import { refusalCodes, wakeRefusalCodes } from "./error-codes.ts";
import { requestClasses } from "./request-class.ts";
import { parseSandboxId } from "./sandbox-id.ts";

/**
 * What the gateway and control say to each other over the unix socket, as JSON. The gateway's own calls name the host
 * below; a call of the API host that it passes on keeps its public `Host`, so the one can never be taken for the other.
 */
export const gatewayApiHost = "control.internal";

/** The paths of the gateway's calls; `{id}` is a sandbox id. */
export const gatewayApiPaths = {
  /** GET, answers an endless NDJSON stream of RouteMessage. Query: `worker`, and `epoch` and `since` to resume. */
  routes: "/gateway/routes",
  /** POST WakeRequest, answers WakeOutcome when it is known. Hanging up does not cancel the wake. */
  wake: "/gateway/sandboxes/{id}/wake",
  /** GET, answers an NDJSON stream of ProgressMessage until the caller hangs up. */
  progress: "/gateway/sandboxes/{id}/progress",
  /** GET, answers Listeners. */
  listeners: "/gateway/sandboxes/{id}/listeners",
  /** POST ActivityReport, answers 204. */
  activity: "/gateway/activity",
  /** POST FenceReport, answers 204. */
  fences: "/gateway/fences",
  /** POST ShareRequest, answers ShareOutcome. */
  shares: "/gateway/shares",
  /** POST for an unknown key, answers KeyAnswer. */
  keys: "/gateway/keys",
  /** POST RefusalReport, answers 204. */
  refusals: "/gateway/refusals",
} as const;

const id = decode.parsed(decode.string, parseSandboxId, "a sandbox id");
const port = decode.parsed(decode.count, (value) => (value >= 1 && value <= 65_535 ? value : undefined), "a port");

export const sandboxStatuses = ["creating", "running", "draining", "paused", "stopped", "waking", "error"] as const;
export type SandboxStatus = (typeof sandboxStatuses)[number];

export { type RequestClass, requestClasses } from "./request-class.ts";

export const hostPolicies = ["localhost", "preserve"] as const;
export type HostPolicy = (typeof hostPolicies)[number];

const refusalFields = {
  message: decode.string,
  retryAfterSeconds: decode.optional(decode.count),
  exitCode: decode.optional(decode.count),
  signal: decode.optional(decode.string),
  queuePosition: decode.optional(decode.count),
  memAvailablePercent: decode.optional(decode.count),
  /** The last lines of the sandbox's log. */
  logTail: decode.optional(decode.array(decode.string)),
};

const reason = decode.object({ code: decode.literal(...refusalCodes), ...refusalFields });
/** Why a sandbox is not running although nobody stopped it, or why its last wake failed. */
export type StatusReason = ReturnType<typeof reason>;

const wakeRule = decode.object({ wake: decode.optional(decode.boolean), extend: decode.optional(decode.boolean) });
/** What one class of requests may do; what is left out follows the global policy. */
export type WakeRule = ReturnType<typeof wakeRule>;

const route = decode.object({
  id,
  /** Grows with every change of the sandbox; an entry with a smaller one than the known entry changes nothing. */
  generation: decode.count,
  /** Grows with every start of the container or process: connections belong to one run and never outlive it. */
  run: decode.count,
  status: decode.literal(...sandboxStatuses),
  reason: decode.nullable(reason),
  /** The declared ports; no other one is ever dialled. */
  ports: decode.array(port),
  /** Where each declared port is dialled; empty unless the container or process runs. */
  endpoints: decode.array(decode.object({ port, address: decode.string, upstreamPort: port })),
  visibility: decode.literal("public", "private"),
  /** The external user id that a private preview's visitor must have; null: whoever has a credential for it. */
  owner: decode.nullable(decode.string),
  /** Which other origins' pages may call it, by the edge's word; null: the app decides. */
  cors: decode.nullable(corsPolicy),
  hostPolicy: decode.literal(...hostPolicies),
  /** Exceptions from hostPolicy, by port. */
  hostPolicyByPort: decode.record(decode.literal(...hostPolicies)),
  wakePolicy: decode.object({
    classes: decode.record(wakeRule),
    noindex: decode.optional(decode.boolean),
  }),
});
export type Route = ReturnType<typeof route>;
export type Endpoint = Route["endpoints"][number];

const routeMessage = decode.union("type", {
  /** Everything there is: forget what you knew. `epoch` changes when control cannot continue earlier revisions. */
  snapshot: decode.object({
    type: decode.literal("snapshot"),
    epoch: decode.string,
    revision: decode.count,
    routes: decode.array(route),
  }),
  change: decode.object({ type: decode.literal("change"), revision: decode.count, route }),
  removal: decode.object({ type: decode.literal("removal"), revision: decode.count, id }),
  /** Sent when nothing else was for `heartbeatSeconds`: silence for three of them means a dead stream. */
  heartbeat: decode.object({ type: decode.literal("heartbeat"), revision: decode.count }),
  /** Outside the revisions: every stream begins with it, whatever it resumes. */
  access: accessMessage,
  revocation: revocationMessage,
});
export type RouteMessage = ReturnType<typeof routeMessage>;
/** What the stream says of sandboxes. */
export type TableMessage = Exclude<RouteMessage, { type: "access" | "revocation" }>;
export const heartbeatSeconds = 2;

const wakeRequest = decode.object({
  /** The class of the request that asks, for the record. */
  class: decode.literal(...requestClasses),
  /** Where the credential was that let it into a private preview. */
  credential: decode.optional(decode.literal(...credentialPlaces)),
});
export type WakeRequest = ReturnType<typeof wakeRequest>;

const wakeRefusal = decode.object({ code: decode.literal(...wakeRefusalCodes), ...refusalFields });
export type WakeRefusal = ReturnType<typeof wakeRefusal>;

const wakeOutcome = decode.union("outcome", {
  ready: decode.object({ outcome: decode.literal("ready"), route }),
  refused: decode.object({ outcome: decode.literal("refused"), refusal: wakeRefusal }),
  /** The wake's own deadline passed. */
  "timed-out": decode.object({ outcome: decode.literal("timed-out") }),
});
export type WakeOutcome = ReturnType<typeof wakeOutcome>;

export const wakePhases = ["queued", "starting", "started", "asleep", "failed"] as const;
export type WakePhase = (typeof wakePhases)[number];

const progressMessage = decode.union("type", {
  state: decode.object({
    type: decode.literal("state"),
    status: decode.literal(...sandboxStatuses),
    phase: decode.literal(...wakePhases),
    queuePosition: decode.optional(decode.count),
    reason: decode.nullable(reason),
    /** Milliseconds that the last starts of this sandbox took, their apps' included, in the middle; absent before the first one. */
    usualStartMs: decode.optional(decode.count),
  }),
  log: decode.object({
    type: decode.literal("log"),
    stream: decode.literal("stdout", "stderr"),
    /** RFC 3339. */
    time: decode.string,
    line: decode.string,
  }),
});
export type ProgressMessage = ReturnType<typeof progressMessage>;

const listeners = decode.object({
  /** Ports that something in the sandbox listens on, reachable from outside it. */
  reachable: decode.array(port),
  /** Ports bound to a loopback address inside the sandbox only. */
  loopbackOnly: decode.array(port),
});
export type Listeners = ReturnType<typeof listeners>;

const activityReport = decode.object({
  /** The gateway worker's own id, new at each of its starts. */
  worker: decode.string,
  /** Grows with each report of a worker; an older one is ignored. */
  sequence: decode.count,
  sandboxes: decode.array(
    decode.object({
      id,
      /** Epoch milliseconds of the last request or data that extends activity, by the gateway's clock; 0 for none. */
      lastActiveAt: decode.count,
      /** Epoch milliseconds of the last navigation; 0 for none. */
      lastNavigationAt: decode.count,
      lastClass: decode.optional(decode.literal(...requestClasses)),
      /** A run whose app was seen to take its first connection, and when: epoch milliseconds. */
      answered: decode.optional(decode.object({ run: decode.count, at: decode.count })),
      /** Open right now, of those that extend activity. */
      openRequests: decode.count,
      openSockets: decode.count,
      /** Since the report before. */
      requests: decode.count,
      bytesIn: decode.count,
      bytesOut: decode.count,
    }),
  ),
});
export type ActivityReport = ReturnType<typeof activityReport>;
export type SandboxActivity = ActivityReport["sandboxes"][number];

const fenceReport = decode.object({
  worker: decode.string,
  id,
  /** Of the draining route that is acknowledged. */
  generation: decode.count,
  /** Let through before the fence and not yet answered, of every class. */
  openRequests: decode.count,
  openSockets: decode.count,
  /** How many of those forbid an idle stop: requests in progress, streams and sockets that carried data lately. */
  keepsAwake: decode.count,
  /** As in the activity report. */
  lastActiveAt: decode.count,
});
/**
 * A worker's word that it holds new requests of a draining sandbox. It is sent as soon as the worker sees the draining
 * route, and again whenever its open counts change until the sandbox leaves that status.
 */
export type FenceReport = ReturnType<typeof fenceReport>;

export const decodeRouteMessage = (text: string) => decode.decodeJson<RouteMessage>(routeMessage, text);
export const decodeWakeRequest = (text: string) => decode.decodeJson<WakeRequest>(wakeRequest, text);
export const decodeWakeOutcome = (text: string) => decode.decodeJson<WakeOutcome>(wakeOutcome, text);
export const decodeProgressMessage = (text: string) => decode.decodeJson<ProgressMessage>(progressMessage, text);
export const decodeListeners = (text: string) => decode.decodeJson<Listeners>(listeners, text);
export const decodeActivityReport = (text: string) => decode.decodeJson<ActivityReport>(activityReport, text);
export const decodeFenceReport = (text: string) => decode.decodeJson<FenceReport>(fenceReport, text);
