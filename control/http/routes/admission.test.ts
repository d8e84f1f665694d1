import { once } from "node:events";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";
import t from "tap";
import { Agent, request } from "undici";
import { gatewayApiHost, gatewayApiPaths, type ProgressMessage } from "#contract/gateway-api.ts";
import { appBody, startControl } from "../../testing/control.ts";

const skip = !existsSync("/proc/meminfo") && "needs a machine that tells its memory";

t.test("a machine low on memory refuses to create and to wake, and leaves nothing behind", { skip }, async (t) => {
  const refusing = { SANDBOXD_MEM_HEADROOM_PCT: "100", SANDBOXD_MEM_REFUSE_WAKES_PCT: "100" };
  const control = await startControl(t, refusing);
  const { status, headers, body } = await control.call("POST", "/v1/sandboxes", { body: appBody });
  t.equal(status, 503);
  t.equal(headers["retry-after"], "30");
  t.match(body, { error: { code: "low_memory", retryable: true, mem_available_percent: Number } });
  t.match((await control.call("GET", "/v1/sandboxes")).body, { items: [] });

  await control.call("POST", "/v1/sandboxes?wait=none", { body: appBody });
  const [sandbox] = (await control.call("GET", "/v1/sandboxes")).body.items;
  await control.call("GET", `/v1/sandboxes/${sandbox.id}?wait=error`);
  const wake = await control.callSocket("POST", gatewayApiPaths.wake.replace("{id}", sandbox.id), {
    body: { class: "navigation" },
    headers: { host: gatewayApiHost },
  });
  t.match(wake.body, { outcome: "refused", refusal: { code: "low_memory", retryAfterSeconds: 30 } });
  const { recent } = (await control.call("GET", `/v1/sandboxes/${sandbox.id}/explain`)).body;
  t.match(recent[0], { kind: "refuse", cause: "request", class: "navigation", outcome: "low_memory" });
});

t.test("a start that waits for memory says its place, and ends with its sandbox", { skip }, async (t) => {
  const control = await startControl(t, { SANDBOXD_WAKE_COST_MB: "1000000000" });
  const { id } = (await control.call("POST", "/v1/sandboxes?wait=none", { body: appBody })).body;
  const dispatcher = new Agent({ connect: { socketPath: control.plane.socketPath } });
  t.teardown(() => dispatcher.destroy());
  const path = gatewayApiPaths.progress.replace("{id}", id);
  const { body } = await request(`http://${gatewayApiHost}${path}`, { dispatcher });
  const lines = createInterface({ input: body });
  const ended = once(lines, "close");
  const queued = Promise.withResolvers<ProgressMessage>();
  lines.on("line", (line) => {
    const message = JSON.parse(line) as ProgressMessage;
    if (message.type === "state" && message.phase === "queued") queued.resolve(message);
  });
  t.match(await queued.promise, { status: "creating", phase: "queued", queuePosition: 1 });
  t.match((await control.call("GET", "/metrics")).text, /^sandboxd_queued_starts 1$/m);
  t.equal((await control.call("DELETE", `/v1/sandboxes/${id}`)).status, 204);
  await ended;
});

t.test(
  "a wake that control's end calls off has no outcome: whoever waits asks the next control",
  { skip },
  async (t) => {
    const first = await startControl(t);
    const { id } = (await first.call("POST", "/v1/sandboxes", { body: appBody })).body;
    await first.call("POST", `/v1/sandboxes/${id}/stop`);
    await first.stop();
    const second = await startControl(t, { SANDBOXD_WAKE_COST_MB: "1000000000" }, first.directory);
    const watch = second.watch();
    const path = gatewayApiPaths.wake.replace("{id}", id);
    const wake = second.callSocket("POST", path, { body: { class: "navigation" } });
    await watch.until(id, ({ status }) => status === "waking");
    await second.stop();
    t.match(await wake, { status: 503 });
  },
);
