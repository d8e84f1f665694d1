import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t, { type Test } from "tap";
import { appBody, newDirectory, startControl } from "../../testing/control.ts";

async function withSandbox(t: Test, body: object = {}) {
  const control = await startControl(t);
  const { body: sandbox } = await control.call("POST", "/v1/sandboxes", { body: { ...appBody, ...body } });
  return { control, sandbox, path: `/v1/sandboxes/${sandbox.id}` };
}

t.test("POST stop puts it to sleep, and again changes nothing", async (t) => {
  const { control, path } = await withSandbox(t);
  const stopped = await control.call("POST", `${path}/stop`);
  t.match(stopped, { status: 200, body: { status: "stopped", status_reason: null, started_at: null } });
  t.match(await control.call("POST", `${path}/stop`, { body: {} }), {
    status: 200,
    body: { generation: stopped.body.generation },
  });
});

t.test("POST stop?wait=none answers 202 with what is under way", async (t) => {
  const { control, path, sandbox } = await withSandbox(t);
  const watch = control.watch();
  await watch.until(sandbox.id, ({ status }) => status === "running");
  const stopping = await control.call("POST", `${path}/stop?wait=none`, { body: { drain_seconds: 60 } });
  t.match(stopping, { status: 202, body: { status: "draining" } });
  watch.end();
  t.match(await control.call("POST", `${path}/stop`, { body: { force: true } }), { body: { status: "stopped" } });
});

t.test("POST stop waits for a gateway to say that nothing is open", async (t) => {
  const { control, path, sandbox } = await withSandbox(t);
  const watch = control.watch("w");
  await watch.until(sandbox.id, ({ status }) => status === "running");
  const stopping = control.call("POST", `${path}/stop`, { body: { drain_seconds: 60 } });
  const { generation } = await watch.until(sandbox.id, ({ status }) => status === "draining");
  const report = { worker: "w", id: sandbox.id, generation, openSockets: 0, keepsAwake: 0, lastActiveAt: 0 };
  t.match(await control.callSocket("POST", "/gateway/fences", { body: { ...report, openRequests: 1 } }), {
    status: 204,
  });
  t.match(await control.call("GET", path), { body: { status: "draining" } });
  await control.callSocket("POST", "/gateway/fences", { body: { ...report, openRequests: 0 } });
  t.match(await stopping, { status: 200, body: { status: "stopped" } });
});

t.test("POST stop with mode pause freezes it, and wake lets it go on", async (t) => {
  const { control, path, sandbox } = await withSandbox(t);
  const paused = await control.call("POST", `${path}/stop`, { body: { mode: "pause" } });
  t.match(paused, { status: 200, body: { status: "paused", started_at: sandbox.started_at } });
  t.match(await control.call("GET", `/sandbox/${sandbox.id}`), { body: { live_state: "paused" } });
  t.match(await control.call("POST", `${path}/wake`), { status: 200, body: { status: "running" } });
  t.match(await control.call("GET", path), { body: { started_at: sandbox.started_at } });
});

t.test("POST stop refuses what it does not understand", async (t) => {
  const { control, path } = await withSandbox(t);
  for (const body of [{ mode: "sleep" }, { drain_seconds: -1 }, { drain_seconds: 1.5 }, { now: true }]) {
    t.match(await control.call("POST", `${path}/stop`, { body }), { status: 400 }, JSON.stringify(body));
  }
  t.match(await control.call("POST", `${path}x/stop`), { status: 404 });
});

t.test("POST wake starts it and says how long that took", async (t) => {
  const { control, path, sandbox } = await withSandbox(t);
  await control.call("POST", `${path}/stop`);
  const woken = await control.call("POST", `${path}/wake`);
  t.match(woken, { status: 200, body: { id: sandbox.id, status: "running", wake_duration_ms: Number } });
  t.match(await control.call("POST", `${path}/wake`), { body: { wake_duration_ms: 0 } }, "it runs already");
});

t.test("POST wake?wait=port answers once the port does", async (t) => {
  const { control, path, sandbox } = await withSandbox(t);
  await control.call("POST", `${path}/stop`);
  t.match(await control.call("POST", `${path}/wake?wait=port&port=3000`), { status: 200 });
  const { body } = await control.callSocket("GET", `/gateway/sandboxes/${sandbox.id}/listeners`);
  t.equal(body.reachable.length, 1);
  t.match(await control.call("POST", `${path}/wake?wait=port&port=3001`), {
    status: 400,
    body: { error: { message: /3001/ } },
  });
});

t.test("POST wake?wait=port says when nothing answers", async (t) => {
  const { control, path } = await withSandbox(t, { cmd: [process.execPath, "-e", "setInterval(() => {}, 1000)"] });
  const answer = await control.call("POST", `${path}/wake?wait=port&timeout_seconds=1`);
  t.match(answer, { status: 422, body: { error: { code: "start_failed", message: /port 3000/ } } });
});

t.test("POST wake with a lease keeps it awake without traffic", async (t) => {
  const { control, path } = await withSandbox(t);
  await control.call("POST", `${path}/wake`, { body: { lease_seconds: 3600 } });
  const { body } = await control.call("GET", `${path}/explain`);
  t.ok(body.awake_because.some(({ cause }: { cause: string }) => cause === "lease"));
  t.match(await control.call("POST", `${path}/wake`, { body: { lease_seconds: 0 } }), { status: 400 });
});

t.test("POST wake tells why it was refused, and when to try again", async (t) => {
  const { control, path } = await withSandbox(t);
  await control.call("PATCH", path, { body: { cmd: [process.execPath, "-e", "process.exit(5)"] } });
  await control.call("POST", `${path}/stop`);
  let answer = await control.call("POST", `${path}/wake`);
  while (answer.status === 200) {
    await control.call("GET", `${path}?wait=stopped&timeout_seconds=10`);
    answer = await control.call("POST", `${path}/wake`);
  }
  t.match(answer, { status: 422, body: { error: { code: "exited", exit_code: 5, retryable: true } } });
  t.equal(answer.headers["retry-after"], "1");
  t.match(await control.call("GET", path), {
    body: { status: "stopped", status_reason: { code: "exited", exit_code: 5, signal: null } },
  });
});

t.test("POST restart begins a new run", async (t) => {
  const { control, path, sandbox } = await withSandbox(t);
  const { body: before } = await control.call("GET", `/sandbox/${sandbox.id}`);
  t.match(await control.call("POST", `${path}/restart`), { status: 200, body: { status: "running" } });
  const { body: after } = await control.call("GET", `/sandbox/${sandbox.id}`);
  t.not(after.runtime.pid, before.runtime.pid);
});

t.test("PATCH applies at the next start", async (t) => {
  const { control, path, sandbox } = await withSandbox(t);
  const script = "console.log(process.env.COLOUR); setInterval(() => {}, 1000)";
  await control.call("PATCH", path, { body: { cmd: [process.execPath, "-e", script], env: { COLOUR: "mauve" } } });
  await control.call("POST", `${path}/restart`);
  let log = "";
  while (!log.includes("mauve")) log = (await control.call("GET", `${path}/logs`)).text;
  t.match(await control.call("GET", path), { body: { id: sandbox.id, env: { COLOUR: "mauve" } } });
});

t.test("POST keepalive promises a time and refuses the past", async (t) => {
  const { control, path } = await withSandbox(t);
  const keep = (until: unknown) => control.call("POST", `${path}/keepalive`, { body: { until } });
  const soon = new Date(Date.now() + 60_000).toISOString();
  t.match(await keep(soon), { status: 200, body: { keepalive_until: soon } });
  const capped = await keep("2999-01-01T00:00:00Z");
  t.ok(Date.parse(capped.body.keepalive_until) <= Date.now() + 86_400_000);
  t.match(await keep("2001-01-01T00:00:00Z"), { status: 400, body: { error: { code: "invalid_request" } } });
  t.match(await keep("soon"), { status: 400 });
  t.match(await control.call("POST", `${path}/keepalive`), { status: 400, body: { error: { message: /until/ } } });
});

t.test("POST wake says with every refusal when to try again", async (t) => {
  const control = await startControl(t);
  const program = join(newDirectory(t), "program");
  writeFileSync(program, "#!/bin/sh\nexec sleep 1000\n", { mode: 0o755 });
  const { id } = (await control.call("POST", "/v1/sandboxes", { body: { ports: [3000], cmd: [program] } })).body;
  const path = `/v1/sandboxes/${id}`;
  const silent = await control.call("POST", `${path}/wake?wait=port&timeout_seconds=1`);
  t.match(silent, { status: 422, headers: { "retry-after": "5" }, body: { error: { code: "start_failed" } } });
  await control.call("POST", `${path}/stop`);
  rmSync(program);
  for (const wake of [`${path}/wake`, `/wake/${id}`]) {
    t.match(await control.call("POST", wake), { status: 422, headers: { "retry-after": "5" } }, wake);
  }
  t.match(await control.call("POST", `${path}x/wake`), { status: 404, headers: { "retry-after": undefined } });
});
