import Type, { type Static } from "typebox";
import type { SandboxId } from "#contract/sandbox-id.ts";
import { ApiError, notFound, refusalError, wakeRefusal } from "../../api-error.ts";
import { keepAlive, lease } from "../../sandboxes/keep-alive.ts";
import { probePort } from "../../sandboxes/probe-port.ts";
import { type StopRequest, stopSandbox } from "../../sandboxes/stop-sandbox.ts";
import { wakeSandbox } from "../../sandboxes/wake-sandbox.ts";
import { type Api, checkPause, idOf, sandboxOf, show } from "../api.ts";
import { gone } from "../gone.ts";
import { idParams, resource, versionedError } from "../schemas.ts";
import type { ApiServer } from "../server.ts";

const strict = { additionalProperties: false } as const;
const tags = ["lifecycle"];
const errors = { "4xx": versionedError, "5xx": versionedError };
const longestDrainSeconds = 3600;

const stopBody = Type.Object(
  {
    mode: Type.Optional(Type.Enum(["stop", "pause"])),
    drain_seconds: Type.Optional(Type.Integer({ minimum: 0, maximum: longestDrainSeconds })),
    force: Type.Optional(Type.Boolean()),
  },
  strict,
);
const stopQuery = Type.Object({ wait: Type.Optional(Type.Enum(["none", "stopped"])) }, strict);

export const wakeBody = Type.Object({ lease_seconds: Type.Optional(Type.Integer({ minimum: 1 })) }, strict);
export const wakeQuery = Type.Object(
  {
    wait: Type.Optional(Type.Enum(["running", "port"])),
    port: Type.Optional(Type.Integer({ minimum: 1, maximum: 65_535 })),
    timeout_seconds: Type.Optional(Type.Integer({ minimum: 1, maximum: 600 })),
  },
  strict,
);
export const wakeAnswer = Type.Object({ id: Type.String(), status: Type.String(), wake_duration_ms: Type.Integer() });
export const keepaliveBody = Type.Object({ until: Type.String() }, strict);

/** Stop, wake, restart and keepalive. */
export function lifecycleRoutes(server: ApiServer, api: Api): void {
  const stopped = { tags, summary: "Put a sandbox to sleep", params: idParams, body: stopBody, querystring: stopQuery };
  const stopResponse = { 200: resource, 202: resource, ...errors };
  server.post("/v1/sandboxes/:id/stop", { schema: { ...stopped, response: stopResponse } }, async (request, reply) => {
    const sandbox = sandboxOf(api, request.params);
    const asked = toStop(sandbox.sleepMode, request.body);
    if (asked.mode === "pause") await checkPause(api.use.engine, "mode");
    const stop = stopSandbox(api.use, sandbox.id, asked);
    if (request.query.wait !== "none") return show(api, await stop);
    stop.catch((error: unknown) => request.log.warn({ sandbox: sandbox.id, err: error }, "a stop failed"));
    return reply.code(202).send(show(api, sandboxOf(api, request.params)));
  });

  const woken = { tags, summary: "Wake a sandbox", params: idParams, body: wakeBody, querystring: wakeQuery };
  server.post(
    "/v1/sandboxes/:id/wake",
    { schema: { ...woken, response: { 200: wakeAnswer, ...errors } } },
    async (request) =>
      wake(api, idOf(request.params), { ...request.body, ...request.query }, gone(request, api.closing.signal)),
  );

  const restarted = { tags, summary: "Stop a sandbox and start it again", params: idParams };
  server.post(
    "/v1/sandboxes/:id/restart",
    { schema: { ...restarted, response: { 200: resource, ...errors } } },
    async (request) => {
      const { id } = sandboxOf(api, request.params);
      await stopSandbox(api.use, id, {
        cause: "restart",
        mode: "stop",
        drain: { kind: "asked", milliseconds: 10_000 },
      });
      const result = await wakeSandbox(api.use, id, { cause: "restart", insist: true });
      if (result.outcome === "refused") throw refusalError(result.refusal);
      return show(api, sandboxOf(api, request.params));
    },
  );

  const kept = { tags, summary: "Keep a sandbox awake until a time", params: idParams, body: keepaliveBody };
  server.post(
    "/v1/sandboxes/:id/keepalive",
    { schema: { ...kept, response: { 200: resource, ...errors } } },
    async (request) => show(api, keepAlive(api.use, idOf(request.params), request.body.until)),
  );
}

function toStop(sleepMode: string, body: Static<typeof stopBody>): StopRequest {
  const { mode = sleepMode === "pause" ? "pause" : "stop", drain_seconds = 10, force = false } = body;
  const drain = force ? "force" : ({ kind: "asked", milliseconds: drain_seconds * 1000 } as const);
  return { cause: "operator", mode, drain };
}

type WakeCall = {
  readonly lease_seconds?: number;
  readonly wait?: "running" | "port";
  readonly port?: number;
  readonly timeout_seconds?: number;
};

/** Wakes a sandbox and waits for as much as the caller asked for. Throws ApiError. */
export async function wake(
  api: Api,
  id: SandboxId,
  call: WakeCall,
  signal: AbortSignal,
): Promise<Static<typeof wakeAnswer>> {
  const { use } = api;
  const begun = performance.now();
  const sandbox = use.records.get(id);
  if (sandbox === undefined) throw notFound();
  const port = call.port ?? sandbox.ports[0]!;
  if (!sandbox.ports.includes(port)) throw new ApiError("invalid_request", `query: port ${port} is not declared`);
  if (call.lease_seconds !== undefined) lease(use, id, call.lease_seconds);
  const result = await wakeSandbox(use, id, { cause: "operator" });
  switch (result.outcome) {
    case "refused":
      throw wakeRefusal(result.refusal);
    case "timed-out":
      throw new ApiError("engine_unavailable", "The engine has not started it in time", { retryAfterSeconds: 5 });
    case "ready":
      break;
    default: {
      const never: never = result;
      throw new Error(`unknown outcome: ${JSON.stringify(never)}`);
    }
  }
  const answer = { id, status: result.sandbox.status, wake_duration_ms: result.durationMs };
  if (call.wait !== "port") return answer;
  const patience = AbortSignal.timeout((call.timeout_seconds ?? 60) * 1000);
  await probePort(use, id, port, AbortSignal.any([signal, patience]));
  return { ...answer, wake_duration_ms: Math.round(performance.now() - begun) };
}
