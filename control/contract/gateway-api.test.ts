import t from "tap";
import {
  decodeActivityReport,
  decodeFenceReport,
  decodeListeners,
  decodeProgressMessage,
  decodeRouteMessage,
  decodeWakeOutcome,
  decodeWakeRequest,
  gatewayApiPaths,
} from "./gateway-api.ts";

const id = "01JB2Q8Z6X3V9K4M7N0P5R1S2T";
const route = {
  ...{ id, generation: 4, run: 2, status: "running", reason: null, ports: [3000] },
  endpoints: [{ port: 3000, address: "127.0.0.1", upstreamPort: 4000 }],
  ...{ visibility: "public", owner: "u", cors: { origins: ["https://a.example"], credentials: true } },
  ...{ hostPolicy: "localhost", hostPolicyByPort: { 3000: "preserve" } },
  wakePolicy: { classes: { api: { wake: false } }, noindex: true },
};
const activity = {
  ...{ id, lastActiveAt: 1, lastNavigationAt: 0, lastClass: "api", openRequests: 1, openSockets: 0 },
  ...{ requests: 1, bytesIn: 2, bytesOut: 3 },
};

function roundTrips(name: string, decode: (text: string) => unknown, values: readonly object[]): void {
  t.test(`${name}() takes what the contract says and no field more`, async (t) => {
    for (const value of values) {
      t.same(decode(JSON.stringify(value)), value);
      t.throws(() => decode(JSON.stringify({ ...value, more: 1 })), { name: "DecodeError", message: /more/ });
    }
    for (const bad of ["", "null", "[]", "{}", "1"]) t.throws(() => decode(bad), { name: "DecodeError" }, bad);
  });
}

roundTrips("decodeRouteMessage", decodeRouteMessage, [
  { type: "snapshot", epoch: "e", revision: 1, routes: [route] },
  {
    type: "change",
    revision: 2,
    route: { ...route, reason: { code: "exited", message: "m", exitCode: 1, logTail: ["x"] } },
  },
  { type: "removal", revision: 3, id },
  { type: "heartbeat", revision: 3 },
]);
roundTrips("decodeWakeRequest", decodeWakeRequest, [{ class: "navigation" }]);
roundTrips("decodeWakeOutcome", decodeWakeOutcome, [
  { outcome: "ready", route },
  { outcome: "refused", refusal: { code: "low_memory", message: "m", retryAfterSeconds: 30, memAvailablePercent: 7 } },
  { outcome: "timed-out" },
]);
roundTrips("decodeProgressMessage", decodeProgressMessage, [
  { type: "state", status: "waking", phase: "starting", reason: null, usualStartMs: 5, queuePosition: 1 },
  { type: "log", stream: "stdout", time: "2026-01-01T00:00:00.000Z", line: "x" },
]);
roundTrips("decodeListeners", decodeListeners, [{ reachable: [3000], loopbackOnly: [] }]);
roundTrips("decodeActivityReport", decodeActivityReport, [{ worker: "w", sequence: 1, sandboxes: [activity] }]);
roundTrips("decodeFenceReport", decodeFenceReport, [
  { worker: "w", id, generation: 1, openRequests: 0, openSockets: 0, keepsAwake: 0, lastActiveAt: 0 },
]);

t.test("decodeRouteMessage() refuses ports and ids that are none", async (t) => {
  const change = (changes: object) => JSON.stringify({ type: "change", revision: 1, route: { ...route, ...changes } });
  for (const changes of [{ ports: [0] }, { ports: [65_536] }, { id: "x" }, { status: "asleep" }, { generation: -1 }]) {
    t.throws(() => decodeRouteMessage(change(changes)), { name: "DecodeError" }, JSON.stringify(changes));
  }
  const lower = change({ id: id.toLowerCase() });
  t.match(decodeRouteMessage(lower), { route: { id } }, "one case inside");
});

t.test("gatewayApiPaths are all below one prefix", async (t) => {
  t.ok(Object.values(gatewayApiPaths).every((path) => path.startsWith("/gateway/")));
});
