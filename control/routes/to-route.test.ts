import t from "tap";
import { newSandboxId } from "../sandboxes/create-sandbox.ts";
import { newSandbox } from "../sandboxes/sandbox.ts";
import { policy } from "../testing/fixture.ts";
import { toRoute } from "./to-route.ts";

const sandbox = newSandbox(newSandboxId(), { ...policy, ports: [3000] }, 0);
const endpoints = [3000, 4000].map((port) => ({ port, address: "127.0.0.1", upstreamPort: port + 1 }));
const noPolicy = { classes: {} };

t.test("toRoute() gives away only declared ports, and only of what is up", async (t) => {
  t.same(toRoute({ ...sandbox, status: "running" }, endpoints, noPolicy).endpoints, [endpoints[0]]);
  t.same(toRoute({ ...sandbox, status: "draining" }, endpoints, noPolicy).endpoints, [endpoints[0]]);
  for (const status of ["creating", "stopped", "paused", "waking", "error"] as const) {
    t.same(toRoute({ ...sandbox, status }, endpoints, noPolicy).endpoints, [], status);
  }
});

t.test("toRoute() lays the sandbox's wake policy over the global one", async (t) => {
  const own = { classes: { api: { wake: false } } };
  const global = { classes: { api: { wake: true, extend: false }, crawler: { wake: true } }, noindex: false };
  t.same(toRoute({ ...sandbox, wakePolicy: own }, [], global).wakePolicy, {
    classes: { api: { wake: false, extend: false }, crawler: { wake: true } },
    noindex: false,
  });
  t.same(toRoute(sandbox, [], noPolicy).wakePolicy, { classes: {} });
});
