import t, { type Test } from "tap";
import { request } from "undici";
import {
  decodeListeners,
  decodeProgressMessage,
  decodeWakeOutcome,
  type ProgressMessage,
} from "#contract/gateway-api.ts";
import { appBody, type RunningControl, startControl } from "../../testing/control.ts";

async function withSandbox(t: Test, body: object = {}) {
  const control = await startControl(t);
  const { body: sandbox } = await control.call("POST", "/v1/sandboxes", { body: { ...appBody, ...body } });
  return { control, id: sandbox.id as string };
}

const wakeBody = { body: { class: "navigation" } };
const counts = { openRequests: 0, openSockets: 0, requests: 0, bytesIn: 0, bytesOut: 0 };

t.test("the gateway's calls are served under its own host on the socket alone", async (t) => {
  const { control, id } = await withSandbox(t);
  const wake = `/gateway/sandboxes/${id}/wake`;
  t.match(await control.callSocket("POST", wake, wakeBody), { status: 200 });
  const foreign = { ...wakeBody, headers: { host: "api.preview.localhost" } };
  t.match(await control.callSocket("POST", wake, foreign), { status: 401 });
  t.match(await control.call("POST", wake, wakeBody), { status: 404 });
  t.match(await control.call("POST", wake, { ...wakeBody, headers: { host: "control.internal" } }), { status: 403 });
  t.match(await control.callSocket("GET", "/v1/sandboxes"), { status: 404 });
  t.match(await control.callSocket("GET", "/healthz"), { status: 404 });
  t.match(await control.callSocket("POST", wake, { ...wakeBody, headers: { "x-forwarded-for": "" } }), { status: 404 });
});

t.test("the routes stream follows a sandbox from its creation to its removal", async (t) => {
  const control = await startControl(t);
  const watch = control.watch();
  await watch.next();
  t.match(watch.messages[0], { type: "snapshot", routes: [] });
  const { id } = (await control.call("POST", "/v1/sandboxes", { body: appBody })).body;
  const route = await watch.until(id, ({ status }) => status === "running");
  t.match(route.endpoints, [{ port: 3000, address: "127.0.0.1", upstreamPort: Number }]);
  watch.end();
  await control.call("DELETE", `/v1/sandboxes/${id}`);
  const later = control.watch();
  await later.next();
  t.notOk(later.routes.has(id));
  const revisions = watch.messages.flatMap((message) => ("revision" in message ? [message.revision] : []));
  t.same(
    revisions,
    revisions.map((_, index) => revisions[0]! + index),
    "one by one",
  );
});

t.test("the routes stream resumes after a revision, and beats while nothing happens", async (t) => {
  const { control } = await withSandbox(t);
  const first = control.watch();
  await first.next();
  const snapshot = first.messages[0]!;
  if (snapshot.type !== "snapshot") throw new Error("no snapshot");
  const resumed = control.watch(`w&epoch=${snapshot.epoch}&since=${snapshot.revision - 1}`);
  await resumed.next();
  t.match(resumed.messages[0], { type: "change", revision: snapshot.revision });
  while (!resumed.messages.some(({ type }) => type === "heartbeat")) await resumed.next();
  t.match(resumed.messages.at(-1), { type: "heartbeat", revision: snapshot.revision });
});

t.test("wake answers with the route that is to be dialled", async (t) => {
  const { control, id } = await withSandbox(t);
  await control.call("POST", `/v1/sandboxes/${id}/stop`);
  const answer = await control.callSocket("POST", `/gateway/sandboxes/${id.toLowerCase()}/wake`, wakeBody);
  t.match(decodeWakeOutcome(answer.text), { outcome: "ready", route: { id, status: "running", run: 2 } });
  const { upstreamPort } = answer.body.route.endpoints[0];
  t.match(await control.call("POST", `/v1/sandboxes/${id}/wake?wait=port`), { status: 200 });
  t.equal(await (await fetch(`http://127.0.0.1:${upstreamPort}/`)).text(), "hello");
});

t.test("wake refuses in the contract's words", async (t) => {
  const { control, id } = await withSandbox(t);
  const unknown = await control.callSocket("POST", "/gateway/sandboxes/01JB2Q8Z6X3V9K4M7N0P5R1S2T/wake", wakeBody);
  t.match(decodeWakeOutcome(unknown.text), { outcome: "refused", refusal: { code: "not_found" } });
  await control.call("PATCH", `/v1/sandboxes/${id}`, { body: { cmd: ["/no/such/program"] } });
  await control.call("POST", `/v1/sandboxes/${id}/stop`);
  const refused = await control.callSocket("POST", `/gateway/sandboxes/${id}/wake`, wakeBody);
  t.match(decodeWakeOutcome(refused.text), { outcome: "refused", refusal: { code: "start_failed" } });
  const bad = { body: { class: "browsing" } };
  t.match(await control.callSocket("POST", `/gateway/sandboxes/${id}/wake`, bad), { status: 400 });
});

t.test("a wake goes on when its caller hangs up", async (t) => {
  const { control, id } = await withSandbox(t);
  await control.call("POST", `/v1/sandboxes/${id}/stop`);
  const watch = control.watch();
  await watch.until(id, ({ status }) => status === "stopped");
  const caller = new AbortController();
  const url = `http://${control.plane.address}/v1/sandboxes/${id}/wake`;
  const call = request(url, { method: "POST", signal: caller.signal }).catch(() => "gone");
  await watch.until(id, ({ status }) => status === "waking" || status === "running");
  caller.abort();
  await call;
  t.match(await watch.until(id, ({ status }) => status === "running"), { run: 2 });
  watch.end();
});

t.test("listeners tells what the app really bound", async (t) => {
  const { control, id } = await withSandbox(t);
  await control.call("POST", `/v1/sandboxes/${id}/wake?wait=port`);
  const { text } = await control.callSocket("GET", `/gateway/sandboxes/${id}/listeners`);
  t.match(decodeListeners(text), { reachable: [Number], loopbackOnly: [] });
  t.match(await control.callSocket("GET", "/gateway/sandboxes/x/listeners"), { status: 404 });
});

t.test("activity moves a sandbox's times and not its generation", async (t) => {
  const { control, id } = await withSandbox(t);
  const before = (await control.call("GET", `/v1/sandboxes/${id}`)).body;
  const lastActiveAt = Date.now() + 60_000;
  const sandboxes = [{ ...counts, id, lastActiveAt, lastNavigationAt: lastActiveAt, lastClass: "navigation" }];
  const report = { worker: "w", sequence: 1, sandboxes };
  t.match(await control.callSocket("POST", "/gateway/activity", { body: report }), { status: 204 });
  const after = (await control.call("GET", `/v1/sandboxes/${id}`)).body;
  t.equal(after.last_active_at, new Date(lastActiveAt).toISOString());
  t.equal(after.generation, before.generation);
  t.match(await control.callSocket("POST", "/gateway/activity", { body: { ...report, extra: 1 } }), { status: 400 });
});

async function progress(t: Test, control: RunningControl, id: string, done: (message: ProgressMessage) => boolean) {
  const messages: ProgressMessage[] = [];
  const { Agent } = await import("undici");
  const dispatcher = new Agent({ connect: { socketPath: control.plane.socketPath } });
  t.teardown(() => dispatcher.destroy());
  const { body } = await request(`http://control.internal/gateway/sandboxes/${id}/progress`, { dispatcher });
  let rest = "";
  for await (const chunk of body) {
    const lines = (rest + String(chunk)).split("\n");
    rest = lines.pop()!;
    for (const line of lines) messages.push(decodeProgressMessage(line));
    if (messages.some(done)) break;
  }
  return messages;
}

t.test("progress follows a wake, with the log as it is written", async (t) => {
  const { control, id } = await withSandbox(t);
  await control.call("POST", `/v1/sandboxes/${id}/stop`);
  const isStarted = (message: ProgressMessage) => message.type === "state" && message.phase === "started";
  const following = progress(t, control, id, isStarted);
  await control.callSocket("POST", `/gateway/sandboxes/${id}/wake`, wakeBody);
  const messages = await following;
  const phases = messages.flatMap((message) => (message.type === "state" ? [message.phase] : []));
  t.equal(phases.at(-1), "started");
  t.ok(messages.some((message) => message.type === "state" && message.usualStartMs !== undefined));
  const log = await progress(t, control, id, ({ type }) => type === "log");
  t.match(
    log.find(({ type }) => type === "log"),
    { stream: "stdout", line: "listening", time: /Z$/ },
  );
});

t.test("progress tells why a sandbox is down", async (t) => {
  const { control, id } = await withSandbox(t);
  await control.call("POST", `/v1/sandboxes/${id}/wake?wait=port`);
  const { body } = await control.callSocket("POST", `/gateway/sandboxes/${id}/wake`, wakeBody);
  await fetch(`http://127.0.0.1:${body.route.endpoints[0].upstreamPort}/exit`).catch(() => {});
  const isFailed = (message: ProgressMessage) => message.type === "state" && message.phase === "failed";
  const messages = await progress(t, control, id, isFailed);
  t.match(messages.find(isFailed), { status: "stopped", reason: { code: "exited", exitCode: 7 } });
});
