import t, { type Test } from "tap";
import { request } from "undici";
import { appBody, startControl } from "../../testing/control.ts";

const talker = "console.log('one'); console.error('two'); setInterval(() => {}, 1000)";

async function withTalker(t: Test) {
  const control = await startControl(t);
  const body = { ports: [3000], cmd: [process.execPath, "-e", talker] };
  const { id } = (await control.call("POST", "/v1/sandboxes", { body })).body;
  return { control, path: `/v1/sandboxes/${id}` };
}

t.test("GET logs gives the last lines as text", async (t) => {
  const { control, path } = await withTalker(t);
  const read = () => control.call("GET", `${path}/logs`);
  let whole = await read();
  // The app's first words may come after the answer to its creation.
  while (whole.text.split("\n").length < 3) whole = await read();
  t.match(whole.headers["content-type"], /^text\/plain/);
  t.same(whole.text.split("\n").sort(), ["", "one", "two"]);
  t.equal((await control.call("GET", `${path}/logs?tail=1`)).text.split("\n").length, 2);
  t.equal((await control.call("GET", `${path}/logs?tail=0`)).text, "");
  t.match(await control.call("GET", `${path}/logs?tail=-1`), { status: 400 });
  t.match(await control.call("GET", `${path}x/logs`), { status: 404 });
});

t.test("GET logs?follow=true streams server-sent events until control stops", async (t) => {
  const { control, path } = await withTalker(t);
  const url = `http://${control.plane.address}${path}/logs?follow=true`;
  const { headers, body } = await request(url, { headers: { accept: "text/event-stream" } });
  t.match(headers["content-type"], /^text\/event-stream/);
  let text = "";
  for await (const chunk of body) {
    text += String(chunk);
    if (text.includes("one") && text.includes("two")) break;
  }
  const event = /^event: log\ndata: (.*)\n\n/m.exec(text);
  t.match(JSON.parse(event![1]!), { stream: /stdout|stderr/, time: /Z$/, line: /one|two/ });
});

t.test("GET logs?follow=true ends with control", async (t) => {
  const { control, path } = await withTalker(t);
  const { body } = await request(`http://${control.plane.address}${path}/logs?follow=true`);
  const ended = body.text().catch(() => "cut");
  await control.stop();
  t.type(await ended, "string", "whether the app had said anything or not");
});

t.test("GET explain tells what the API promises", async (t) => {
  const control = await startControl(t);
  const { id } = (await control.call("POST", "/v1/sandboxes", { body: appBody })).body;
  const { status, body } = await control.call("GET", `/v1/sandboxes/${id}/explain`);
  t.equal(status, 200);
  t.match(body, { status: "running", since: /Z$/, last_navigation_at: null, next_stop_because: "idle", recent: [] });
  t.match(body.awake_because, [{ cause: "active", since: /Z$/, detail: String }]);
});

t.test("GET explain tells whose credential woke it", async (t) => {
  const control = await startControl(t);
  const { id } = (await control.call("POST", "/v1/sandboxes", { body: appBody })).body;
  const recent = async () => (await control.call("GET", `/v1/sandboxes/${id}/explain`)).body.recent[0];
  const wake = async (more: object) => {
    await control.call("POST", `/v1/sandboxes/${id}/stop`);
    return await control.callSocket("POST", `/gateway/sandboxes/${id}/wake`, {
      body: { class: "navigation", ...more },
    });
  };
  t.match(await wake({ credential: "cookie" }), { status: 200 });
  t.match(await recent(), { kind: "wake", class: "navigation", credential: "cookie", outcome: "ready" });
  t.match(await wake({}), { status: 200 });
  t.match(await recent(), { kind: "wake", class: "navigation", credential: null, outcome: "ready" });
  t.match(await wake({ credential: "guess" }), { status: 400 });
});
