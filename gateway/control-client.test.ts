import { once } from "node:events";
import t from "tap";
import type { RouteMessage } from "#contract/gateway-api.ts";
import { ControlUnavailableError } from "./control-client.ts";
import { startControl } from "./hazards/test-control.ts";
import { routeTo } from "./hazards/test-gateway.ts";
import { sandboxId } from "./hazards/test-request.ts";

const fence = {
  worker: "w",
  id: sandboxId,
  generation: 1,
  openRequests: 0,
  openSockets: 0,
  keepsAwake: 0,
  lastActiveAt: 0,
};

t.test("ControlClient says what the contract says", async (t) => {
  const { control, client } = await startControl(t);
  control.wake = () => ({ outcome: "ready", route: routeTo(sandboxId, 1) });
  control.listeners = { reachable: [3000], loopbackOnly: [5173] };
  t.strictSame(await client.wake(sandboxId, { class: "api" }), { outcome: "ready", route: routeTo(sandboxId, 1) });
  t.strictSame(await client.listeners(sandboxId), control.listeners);
  await client.report({ worker: "w", sequence: 1, sandboxes: [] });
  await client.acknowledgeFence(fence);
  t.strictSame(control.wakes, [sandboxId]);
  t.strictSame(control.reports, [{ worker: "w", sequence: 1, sandboxes: [] }]);
  t.strictSame(control.fences, [fence]);
});

t.test("ControlClient throws one error for a control that is away, or does not speak as agreed", async (t) => {
  const { control, client } = await startControl(t);
  const calls: Record<string, () => Promise<unknown>> = {
    wake: () => client.wake(sandboxId, { class: "api" }),
    listeners: () => client.listeners(sandboxId),
    report: () => client.report({ worker: "w", sequence: 1, sandboxes: [] }),
    acknowledgeFence: () => client.acknowledgeFence(fence),
  };
  control.wake = () => ({ outcome: "perhaps" }) as never;
  control.listeners = { reachable: ["x"] } as never;
  for (const name of ["wake", "listeners"]) await t.rejects(calls[name]!(), ControlUnavailableError, name);
  control.accept = () => false;
  for (const [name, call] of Object.entries(calls)) await t.rejects(call(), ControlUnavailableError, name);
  await control.stop();
  for (const [name, call] of Object.entries(calls))
    await t.rejects(call(), { cause: Error }, `${name} keeps the cause`);
});

t.test("ControlClient.wake() leaves with its signal, and only then", async (t) => {
  const { control, client } = await startControl(t);
  control.wake = () => new Promise(() => {});
  const leave = new AbortController();
  const heard = once(control.called, "wake");
  const wake = client.wake(sandboxId, { class: "api" }, leave.signal);
  await heard;
  leave.abort();
  await t.rejects(wake, ControlUnavailableError);
});

t.test("ControlClient.routes() yields each message, and throws when the stream ends", async (t) => {
  const { control, client } = await startControl(t);
  const stream = client.routes("w", { epoch: "", since: 0, signal: new AbortController().signal });
  const next = async () => {
    for (;;) {
      const { value, done } = await stream.next();
      if (done) return "the end";
      const { type } = value as RouteMessage;
      if (type !== "access") return type;
    }
  };
  t.equal(await next(), "snapshot");
  control.publish(routeTo(sandboxId, 1));
  control.send({ type: "heartbeat", revision: 1 });
  t.strictSame([await next(), await next()], ["change", "heartbeat"]);
  control.cut();
  await t.rejects(next(), ControlUnavailableError);
});

t.test("ControlClient.progress() yields what it is told, until its signal", async (t) => {
  const { control, client } = await startControl(t);
  const leave = new AbortController();
  const stream = client.progress(sandboxId, leave.signal);
  const first = stream.next();
  await once(control.called, "progress");
  const log = { type: "log", stream: "stdout", time: "2026-01-01T00:00:00.000Z", line: "é\u2028" } as const;
  control.tell(sandboxId, log);
  t.strictSame(await first, { value: log, done: false });
  const second = stream.next();
  leave.abort();
  await t.rejects(second, ControlUnavailableError);
});
