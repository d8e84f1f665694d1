import { once } from "node:events";
import { rm } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t, { type Test } from "tap";
import type { SandboxId } from "#contract/sandbox-id.ts";
import { docker, openDockerNetwork } from "./docker-network.ts";
import { eventually } from "./main-loop.ts";
import { type Answer, openPair, type Pair } from "./pair.ts";
import { dockerSocket, missingPart } from "./parts/parts.ts";

/** Everything that can keep a sandbox of the docker engine from answering, as a page and as a problem document. */

/** An app that is well at its first start; what it does at any later one is the test's. */
const second = (program: string) => ["node", "-e", `${beginning} if (starts > 1) { ${program} } else listen(3000);`];
const beginning = `
  const { appendFileSync, readFileSync } = require("node:fs");
  const listen = (port, host) => require("node:http").createServer((_, response) => response.end("hello")).listen(port, host);
  appendFileSync("starts", ".");
  const starts = readFileSync("starts").length;
`;
const well = second("listen(3000)");
/** More than any machine has. */
const costMb = "100000000";
const navigation = { "sec-fetch-mode": "navigate", accept: "text/html" };

type Expected = { readonly status: number; readonly code: string; readonly [field: string]: unknown };

/** Both are told the same, each in its own language; what both must say of it is matched against. */
async function isTold(t: Test, [program, page]: readonly [Answer, Answer], expected: Expected, says: RegExp) {
  t.match(program.headers["content-type"], "application/problem+json");
  t.match(JSON.parse(program.text), expected);
  t.match(page.headers["content-type"], "text/html");
  t.match(page.text, says);
  for (const { status, headers } of [program, page]) {
    t.match({ status, code: headers["x-sandbox-gateway"] }, { status: expected.status, code: expected.code });
    if (expected.status === 503) t.match(headers["retry-after"], /^[1-9]\d*$/);
  }
}

async function askBoth(pair: Pair, id: SandboxId): Promise<[Answer, Answer]> {
  return [await pair.ask(id), await pair.ask(id, navigation)];
}

/** How often it ended by itself. */
async function ends(pair: Pair, id: SandboxId): Promise<number> {
  const { recent } = JSON.parse(await pair.call("GET", `/v1/sandboxes/${id}/explain`));
  return recent.filter(({ cause }: { cause: string }) => cause === "exited").length;
}

/** The daemon's socket, which a test can take away without ending anybody's daemon. */
async function openDoor() {
  const path = join(tmpdir(), `docker-door-${process.pid}.sock`);
  const open = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(dockerSocket);
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(one);
      one.pipe(other);
      one.on("error", () => other.destroy()).on("close", () => open.delete(one) && other.destroy());
    }
  });
  const listen = () => once(server.listen(path), "listening");
  const close = async () => {
    for (const socket of open) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  };
  await listen();
  return { path, listen, close, [Symbol.asyncDispose]: () => close().then(() => rm(path, { force: true })) };
}

t.test("why a sandbox of the docker engine does not answer", { skip: missingPart("images") }, async (t) => {
  await using network = await openDockerNetwork();
  await using door = await openDoor();
  const variables = { ...network.variables, SANDBOXD_DOCKER_SOCKET: door.path, SANDBOXD_HOLD_NAVIGATION_MS: "60000" };
  await using pair = await openPair(variables);
  const asleep = async (more: object) => {
    const id = await pair.create(more);
    await pair.sleep(id, "stop");
    return id;
  };

  await t.test("it exits: its code and its last words, and a crash loop is not started again and again", async (t) => {
    const id = await asleep({ cmd: second('console.error("there is no database"); process.exit(3)') });
    const answers = await askBoth(pair, id);
    const looping = /3, \d times in a row: the next start is in \d s/;
    const exited = { status: 502, code: "exited", exit_code: 3, log_tail: ["there is no database"], detail: looping };
    await isTold(t, answers, { ...exited, retry_after_seconds: Number }, /Exit code<\/dt><dd>3</);
    t.match(answers[1].text, looping);
    t.match(answers[1].text, /there is no database/);
    t.match(answers[0].headers["retry-after"], /^\d$/);
    await eventually(async () => Number((await pair.ask(id)).headers["retry-after"]) >= 4);
    const before = await ends(pair, id);
    await askBoth(pair, id);
    t.equal(await ends(pair, id), before, "it is not started again before that time");
  });

  await t.test("it is killed for memory", async (t) => {
    const hungry = "const all = []; for (;;) all.push(Buffer.alloc(8 * 2 ** 20, 1));";
    const id = await asleep({ cmd: second(hungry), memory_max: "64M" });
    const answers = await askBoth(pair, id);
    await isTold(t, answers, { status: 502, code: "out_of_memory" }, /The app ran out of memory/);
  });

  await t.test("nothing listens on its port, and which ports are listening", async (t) => {
    const id = await asleep({ cmd: second("listen(4000); listen(5000)") });
    const answers = await askBoth(pair, id);
    const expected = { status: 502, code: "no_listener", listening_ports: [4000, 5000] };
    await isTold(t, answers, expected, /Ports that listen<\/dt><dd>4000, 5000</);
  });

  await t.test("it is bound to loopback inside the sandbox only", async (t) => {
    const id = await asleep({ cmd: second('listen(3000, "127.0.0.1")') });
    await isTold(t, await askBoth(pair, id), { status: 502, code: "loopback_only" }, /listens on 127\.0\.0\.1/);
  });

  await t.test("its image is missing", async (t) => {
    const image = `${network.name}:gone`;
    await docker("tag", network.variables.SANDBOXD_IMAGE!, image);
    const id = await asleep({ cmd: well, image });
    await docker("rm", "--force", `s-${id.toLowerCase()}`);
    await docker("rmi", image);
    const missing = { status: 502, code: "image_missing", detail: image };
    await isTold(t, await askBoth(pair, id), missing, /image is missing/);
  });

  await t.test("the engine cannot be reached, which is no matter to whoever runs", async (t) => {
    const [id, awake] = [await asleep({ cmd: well }), await pair.create({ cmd: well })];
    t.match(await pair.ask(awake), { status: 200, text: "hello" });
    await door.close();
    const away = { status: 503, code: "engine_unavailable" };
    await isTold(t, await askBoth(pair, id), away, /Sandboxes cannot be started now/);
    t.match(await pair.ask(awake), { status: 200, text: "hello" });
    await door.listen();
    t.match(await pair.ask(id), { status: 200, text: "hello" }, "it wakes once the engine is there again");
  });

  await t.test("the host has no room: its place in the queue, and when the queue is full", async (t) => {
    const [first, late] = [await asleep({ cmd: well }), await asleep({ cmd: well })];
    await pair.restartControl({ SANDBOXD_WAKE_COST_MB: costMb });
    const waiting = Promise.all([pair.ask(first), pair.ask(first, navigation)]);
    await eventually(async () => (await pair.metric("sandboxd_queued_starts")) === 1);
    for (let n = 1; n < 100; n++) await pair.call("POST", "/v1/sandboxes?wait=none", { ports: [3000], cmd: well });
    await eventually(async () => (await pair.metric("sandboxd_queued_starts")) === 100);
    const full = { status: 503, code: "queue_full", retry_after_seconds: 30 };
    await isTold(t, await askBoth(pair, late), full, /Too many sandboxes of this owner wait/);
    const noRoom = { status: 503, code: "low_memory", queue_position: 1, retry_after_seconds: 30 };
    await isTold(t, await waiting, noRoom, /Place in the queue<\/dt><dd>1</);
    await pair.restartControl({ SANDBOXD_MEM_HEADROOM_PCT: "100", SANDBOXD_MEM_REFUSE_WAKES_PCT: "100" });
    const low = { status: 503, code: "low_memory", mem_available_percent: Number, retry_after_seconds: 30 };
    await isTold(t, await askBoth(pair, late), low, /Free memory<\/dt><dd>\d+ %/);
    await pair.restartControl({});
    t.match(await pair.ask(late), { status: 200, text: "hello" }, "it wakes when there is room");
  });
});
