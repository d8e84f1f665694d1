import { existsSync } from "node:fs";
import { join } from "node:path";
import t, { type Test } from "tap";
import { request } from "undici";
import { until } from "../../engines/engine-under-test.ts";
import { appBody, startControl } from "../../testing/control.ts";

async function withSandbox(t: Test) {
  const control = await startControl(t);
  const { body: sandbox } = await control.call("POST", "/v1/sandboxes", {
    body: { ...appBody, env: { COLOR: "blue" } },
  });
  const path = `/v1/sandboxes/${sandbox.id}`;
  const exec = (body: object, at = `${path}/exec`) => control.call("POST", at, { body });
  const inApp = (name: string) => join(control.directory, "workspaces", sandbox.id, "workspace", "app", name);
  return { control, sandbox, path, exec, inApp };
}

t.test("POST exec answers what a command said and how it ended", async (t) => {
  const { exec } = await withSandbox(t);
  const script = 'cat; echo "$COLOR $SIZE"; pwd; echo oops >&2; exit 3';
  const answer = await exec({ cmd: script, env: { SIZE: "2" }, stdin: "given\n", cwd: "/home/sandbox" });
  t.match(answer, {
    status: 200,
    body: { stdout: /^given\nblue 2\n.*\n$/, stderr: "oops\n", exit_code: 3, signal: null, ended_by: "itself" },
  });
  t.match(await exec({ cmd: ["printf", "%s", "a b; $HOME"] }), { body: { stdout: "a b; $HOME", exit_code: 0 } });
});

t.test("POST exec wakes a sandbox that sleeps, stopped or paused", async (t) => {
  const { control, path, exec } = await withSandbox(t);
  for (const mode of ["stop", "pause"]) {
    await control.call("POST", `${path}/stop`, { body: { mode } });
    t.match(await exec({ cmd: ["echo", mode] }), { status: 200, body: { stdout: `${mode}\n` } });
    t.match(await control.call("GET", path), { body: { status: "running" } });
  }
});

t.test("POST exec ends a command whose time is up, with its children, and says so", async (t) => {
  const { exec, inApp } = await withSandbox(t);
  const answer = await exec({ cmd: "(sleep 3; touch late) & sleep 60", timeout_s: 1 });
  t.match(answer, { status: 200, body: { exit_code: 137, signal: "SIGKILL", ended_by: "timeout" } });
  t.notOk(existsSync(inApp("late")));
});

t.test("POST exec keeps so much of an output and says that there was more", async (t) => {
  const { exec } = await withSandbox(t);
  const { body } = await exec({ cmd: "head -c 3000000 /dev/zero | tr '\\0' x; echo end >&2" });
  t.match(body, { stdout_truncated: true, stderr_truncated: false, stderr: "end\n", exit_code: 0 });
  t.equal(body.stdout.length, 1024 * 1024);
});

t.test("POST exec with stream tells each output as it comes, and the end last", async (t) => {
  const { control, path, inApp } = await withSandbox(t);
  const cmd = "printf '\\303'; sleep 0.1; printf '\\244'; until [ -e go ]; do sleep 0.05; done; echo two >&2; exit 4";
  const answer = await request(`http://${control.plane.address}${path}/exec`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ cmd, stream: true }),
  });
  t.match(answer.headers, { "content-type": "application/x-ndjson" });
  const lines: unknown[] = [];
  for await (const chunk of answer.body) {
    for (const line of String(chunk).trim().split("\n")) lines.push(JSON.parse(line));
    if (lines.length === 1) await control.call("POST", `${path}/exec`, { body: { cmd: ["touch", inApp("go")] } });
  }
  t.match(lines, [
    { stream: "stdout", data: "ä" },
    { stream: "stderr", data: "two\n" },
    { exit_code: 4, signal: null, ended_by: "itself", duration_ms: Number },
  ]);
});

t.test("a caller who leaves ends the command, streamed or not", async (t) => {
  const { control, path, exec, inApp } = await withSandbox(t);
  for (const stream of [true, false]) {
    const abort = new AbortController();
    const call = request(`http://${control.plane.address}${path}/exec`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ cmd: `touch begun-${stream}; while :; do echo x; sleep 4714; done`, stream }),
      signal: abort.signal,
    }).then(({ body }) => body.text());
    call.catch(() => {});
    await until("the command", () => existsSync(inApp(`begun-${stream}`)));
    t.match(await control.call("GET", `${path}/explain`), { body: { awake_because: [{ cause: "exec" }] } });
    abort.abort();
    await t.rejects(call);
    await until("its end", async () => {
      const { body } = await control.call("GET", `${path}/explain`);
      return body.awake_because.every(({ cause }: { cause: string }) => cause !== "exec");
    });
    t.match(await exec({ cmd: "! grep -lsa 'sleep.4714' /proc/[0-9]*/cmdline | grep -v self" }), { status: 200 });
  }
});

t.test("POST stop ends a running command", async (t) => {
  const { control, path, exec, inApp } = await withSandbox(t);
  for (const mode of ["pause", "stop"]) {
    const running = exec({ cmd: `touch ${mode}; sleep 60` });
    await until("the command", () => existsSync(inApp(mode)));
    await control.call("POST", `${path}/stop`, { body: { mode, drain_seconds: 0 } });
    t.match(await running, { status: 200, body: { ended_by: "stop", exit_code: 137 } });
  }
});

t.test("POST exec refuses what it does not understand or cannot start", async (t) => {
  const { exec, path } = await withSandbox(t);
  const nul = "a\u0000b";
  const bad = [
    {},
    { cmd: [] },
    { cmd: "" },
    { cmd: [""] },
    { cmd: [nul] },
    { cmd: 5 },
    { cmd: "x", env: { "a=b": "" } },
  ];
  const more = [
    { cmd: "x", cwd: "/etc" },
    { cmd: "x", cwd: "a/../../.." },
    { cmd: "x", timeout_s: 0 },
    { cmd: "x", tty: true },
  ];
  for (const body of [...bad, ...more]) t.match(await exec(body), { status: 400 }, JSON.stringify(body));
  t.match(await exec({ cmd: ["no-such-command"] }), { status: 422, body: { error: { code: "start_failed" } } });
  t.match(await exec({ cmd: ["true"], cwd: "nowhere" }), { status: 422, body: { error: { code: "start_failed" } } });
  t.match(
    await exec(
      { cmd: ["true"] },
      `${path.slice(0, -1)}0/exec`.replace(/.{26}\/exec$/, "01JB2Q8Z6X3V9K4M7N0P5R1S2T/exec"),
    ),
    { status: 404 },
  );
});

t.test("POST /sandbox/:id/exec answers as earlier clients know it", async (t) => {
  const { exec, sandbox } = await withSandbox(t);
  const at = `/sandbox/${sandbox.id}/exec`;
  t.match(await exec({ cmd: ["sh", "-c", "echo out; echo err >&2; exit 2"] }, at), {
    status: 200,
    body: { stdout: "out\n", stderr: "err\n", exit_code: 2 },
  });
  const streamed = await exec({ cmd: ["sh", "-c", "echo out; echo err >&2; exit 2"], stream: true }, at);
  t.match(streamed.headers, { "content-type": /^text\/plain/ });
  t.equal(streamed.text, "out\n---stderr---\nerr\nexit_code: 2\n");
  t.same((await exec({ cmd: [] }, at)).body, { error: "cmd required" });
});

t.test("the audit log has that a command ran, and not which", async (t) => {
  const { control, exec, sandbox } = await withSandbox(t);
  await exec({ cmd: ["echo", "very-secret"], env: { TOKEN: "very-secret" } });
  await exec({ cmd: ["echo", "very-secret"], stream: true });
  const { body, text } = await control.call("GET", "/v1/audit?limit=2");
  t.notMatch(text, "very-secret");
  t.match(body.items, [
    { action: "sandbox.exec", target: sandbox.id, outcome: "done", detail: { fields: ["cmd", "stream"] } },
    { action: "sandbox.exec", target: sandbox.id, outcome: "done", detail: { fields: ["cmd", "env"] } },
  ]);
});
