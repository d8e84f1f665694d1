/** What an integrator does inside a sandbox by the API's own host: past the gateway and over control's socket. */
import { once } from "node:events";
import t, { type Test } from "tap";
import { request } from "undici";
import { WebSocket } from "ws";
import { hasTerminals } from "../control/engines/process/process-terminal.ts";
import { domain, openPair } from "./pair.ts";
import { missingPart } from "./parts/parts.ts";
import { openSleeper } from "./sleeper.ts";

const secret = "secret-of-an-integrator";
const host = `api.preview.${domain}`;
const server = "require('http').createServer((_, answer) => answer.end('hello')).listen(process.env.PORT)";

async function withSandbox(t: Test) {
  const pair = await openPair({ SANDBOXD_API_AUTH_DISABLED: "false", SANDBOXD_API_TOKENS: `integrator:${secret}` });
  t.teardown(() => pair[Symbol.asyncDispose]());
  const id = await pair.create({ cmd: [process.execPath, "-e", server] });
  const headers = { host, authorization: `Bearer ${secret}` };
  const path = `/v1/sandboxes/${id}`;
  return { pair, id, path, headers, gateway: `127.0.0.1:${pair.gatewayPort}` };
}

t.test("a terminal over the API host", { skip: hasTerminals ? false : "no script(1) of util-linux" }, async (t) => {
  const { pair, id, path, headers, gateway } = await withSandbox(t);
  const open = (more: Record<string, string>) =>
    new WebSocket(`ws://${gateway}${path}/terminal`, { headers: { ...headers, ...more } });
  const refused = open({ authorization: "Bearer another" });
  const [, answer] = await once(refused, "unexpected-response");
  t.equal(answer.statusCode, 401);
  t.equal(answer.headers["content-type"], "application/json; charset=utf-8");
  const foreign = open({ origin: "https://evil.example" });
  t.equal((await once(foreign, "unexpected-response"))[1].statusCode, 403);
  for (const socket of [refused, foreign]) socket.on("error", () => {}).terminate();

  await pair.sleep(id, "stop");
  const socket = open({ origin: `http://${host}` });
  let shown = "";
  const ended = once(socket, "close");
  socket.on("message", (message, isBinary) => {
    if (isBinary) shown += message;
    if (!isBinary) socket.send(Buffer.from("echo through the ga''teway; exit 5\r"));
  });
  const [code, reason] = await ended;
  t.match(shown, /through the gateway\r\n/);
  t.equal(code, 1000);
  t.match(JSON.parse(String(reason)), { exit_code: 5 });
});

t.test("a command that is streamed over the API host comes as it goes, and ends with its caller", async (t) => {
  const { path, headers, gateway, pair } = await withSandbox(t);
  const { body, statusCode } = await request(`http://${gateway}${path}/exec`, {
    method: "POST",
    headers: { ...headers, "content-type": "application/json" },
    body: JSON.stringify({ cmd: "echo first; sleep 600", stream: true }),
  });
  t.equal(statusCode, 200);
  const [first] = await once(body, "data");
  t.same(JSON.parse(String(first)), { stream: "stdout", data: "first\n" });
  body.on("error", () => {}).destroy();
  for (let over = false; !over; ) over = !(await pair.call("GET", `${path}/explain`)).includes('"cause":"exec"');
});

t.test("files go over the API host as they are, in both directions", async (t) => {
  const { path, headers, gateway } = await withSandbox(t);
  const bytes = Buffer.alloc(3 * 2 ** 20, "0123456789");
  const url = `http://${gateway}${path}/files/content?path=large.bin`;
  const put = await request(url, { method: "PUT", headers, body: bytes });
  t.equal(put.statusCode, 200);
  const etag = put.headers.etag as string;
  await put.body.dump();
  const got = await request(url, { headers: { ...headers, range: "bytes=0-", "if-range": etag } });
  t.equal(got.statusCode, 206);
  t.ok(Buffer.from(await got.body.arrayBuffer()).equals(bytes));
  const archive = await request(`http://${gateway}${path}/export`, { headers });
  t.equal(Buffer.from(await archive.body.arrayBuffer()).toString("latin1", 0, 4), "PK\x03\x04");
});

t.test("a repository that is cloned into a container is served by it", { skip: missingPart("images") }, async (t) => {
  await using sleeper = await openSleeper("docker");
  const { pair } = sleeper;
  const id = await pair.create({});
  const repository = "/home/sandbox/repository";
  const cmd = `set -e
    git init --quiet --initial-branch main ${repository} && cd ${repository}
    echo '<p>cloned' > index.html && git add .
    git -c user.name=a -c user.email=a@example.com commit --quiet --message first`;
  const made = JSON.parse(await pair.call("POST", `/v1/sandboxes/${id}/exec`, { cmd }));
  t.equal(made.exit_code, 0, made.stderr);
  await pair.sleep(id, "stop");
  const url = `file://${repository}`;
  const cloned = JSON.parse(await pair.call("POST", `/v1/sandboxes/${id}/clone`, { url }));
  t.match(cloned, { path: "/home/sandbox/workspace/app", commit: /^[0-9a-f]{40}$/ });
  await t.rejects(pair.call("POST", `/v1/sandboxes/${id}/clone`, { url }), /422.*not an empty directory/);
  // Until the supervisor has seen the files it shows a page of its own.
  let { status, text } = await pair.ask(id);
  while (!text.includes("<p>cloned")) ({ status, text } = await pair.ask(id));
  t.equal(status, 200);
});
