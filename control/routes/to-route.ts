import type { Endpoint, Route } from "#contract/gateway-api.ts";
import { isUp, type Sandbox } from "../sandboxes/sandbox.ts";
import { layWakePolicy, type WakePolicy } from "../sandboxes/wake-policy.ts";

/** What the gateway needs to know of a sandbox. Endpoints of ports that are no longer declared are left out. */
export function toRoute(sandbox: Sandbox, endpoints: readonly Endpoint[], globalPolicy: WakePolicy): Route {
  const { classes, noindex } = layWakePolicy(sandbox.wakePolicy, globalPolicy);
  return {
    id: sandbox.id,
    generation: sandbox.generation,
    run: sandbox.run,
    status: sandbox.status,
    reason: sandbox.reason,
    ports: sandbox.ports,
    endpoints: isUp(sandbox.status) ? endpoints.filter(({ port }) => sandbox.ports.includes(port)) : [],
    visibility: sandbox.visibility,
    owner: sandbox.external.userId,
    cors: sandbox.cors,
    hostPolicy: sandbox.hostPolicy,
    hostPolicyByPort: sandbox.hostPolicyByPort,
    wakePolicy: { classes, ...(noindex !== undefined && { noindex }) },
  };
}
