import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { readdirSync } from "node:fs";
import type { Socket } from "node:net";
import t, { type Test } from "tap";
import { hostileAnswers, hostileApp, isWhole, type Outcome, soundAnswer } from "./hostile-answers.ts";
import {
  addRoute,
  answering,
  eventually,
  newId,
  RawClient,
  routeTo,
  startApp,
  startGateway,
  type TestGateway,
} from "./test-gateway.ts";

const soundApp = (socket: Socket) => {
  answering(() => soundAnswer)(socket);
  socket.once("end", () => socket.end());
};

/** The ways to an app, each with a client of its own, up to the Host header. */
const ways = {
  "a plain request": "GET / HTTP/1.1\r\n",
  "a request for the head alone": "HEAD / HTTP/1.1\r\n",
  "an HTTP/1.0 request": "GET / HTTP/1.0\r\n",
  "an upload": "POST / HTTP/1.1\r\nContent-Length: 0\r\n",
  "a body that waits": "POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n",
  "an upgrade": "GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n",
} as const;

for (const [way, lines] of Object.entries(ways)) {
  t.test(`a hostile answer to ${way} harms its own client at most, and leaves nothing behind`, async (t) => {
    const test = await startGateway(t, { headTimeoutSeconds: 3, bodyIdleSeconds: 1 });
    const sound = await addRoute(test, routeTo(newId(), await startApp(t, soundApp)));
    const warnings: string[] = [];
    const onWarning = (warning: Error) => warnings.push(warning.message);
    process.on("warning", onWarning);
    t.teardown(() => process.off("warning", onWarning));
    // What all of them share is opened before it is counted.
    await expectSound(t, test, sound, "another sandbox");
    const before = openHandles();
    await t.test("answers", async (t) => {
      // All at once: some of them take as long as the timeouts do.
      const all = Object.entries(hostileAnswers).map(async ([what, answer]) => {
        const host = await addRoute(test, routeTo(newId(), await startApp(t, hostileApp(answer))));
        const client = new RawClient(test.port).send(`${lines}Host: ${host}\r\n\r\n`);
        await client.until(({ closed, ended, text }) => closed || ended || isWhole(text, lines));
        expectOutcome(t, client, what, outcomeFor(what, lines), lines);
        client.socket.destroy();
        await expectSound(t, test, sound, `another sandbox than that of ${what}`);
        await expectSound(t, test, host, `the sandbox of ${what}`);
      });
      await Promise.all(all);
    });
    await eventually(() => openHandles() <= before, "all that was opened is closed");
    t.strictSame(warnings, [], "no listener is one too many");
  });
}

t.test("any number of hostile answers leaves no listener on a connection of a client's", async (t) => {
  const test = await startGateway(t, { headTimeoutSeconds: 1, bodyIdleSeconds: 1 });
  const refused = Object.values(hostileAnswers).filter(([outcome, , then]) => outcome === "502" && then === undefined);
  const hosts: string[] = [];
  for (const answer of refused)
    hosts.push(await addRoute(test, routeTo(newId(), await startApp(t, hostileApp(answer)))));
  const sockets = new Set<Socket>();
  const onRequest = (message: unknown) => void sockets.add((message as { socket: Socket }).socket);
  subscribe("http.server.request.start", onRequest);
  t.teardown(() => unsubscribe("http.server.request.start", onRequest));
  const client = new RawClient(test.port);
  let counts: number | undefined;
  for (let round = 0; round < 5; round++) {
    for (const host of hosts) {
      const before = client.length;
      client.send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
      await client.until(({ length, text }) => length > before && text.endsWith("}"));
    }
    const [socket] = [...sockets].filter(({ remotePort }) => remotePort === client.socket.localPort);
    const listeners = socket!.eventNames().reduce((sum, name) => sum + socket!.listenerCount(name), 0);
    counts ??= listeners;
    t.equal(listeners, counts, `after ${(round + 1) * hosts.length} answers`);
  }
  t.equal(client.text.match(/HTTP\/1\.1 502 /g)?.length, 5 * refused.length);
  client.socket.destroy();
});

/** File descriptors, sockets and timers of this process. */
function openHandles(): number {
  const active = process.getActiveResourcesInfo().filter((name) => /^(TCP|Pipe)/.test(name)).length;
  return process.platform === "linux" ? readdirSync("/proc/self/fd").length + active : active;
}

async function expectSound(t: Test, { port }: TestGateway, host: string, whose: string): Promise<void> {
  const client = new RawClient(port).send(`GET /next HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  await client.until(({ text }) => text.endsWith("sound"));
  t.match(client.text, /^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\nsound$/, `the next request to ${whose} is answered`);
  client.socket.destroy();
}

function outcomeFor(what: string, lines: string): Outcome {
  const [outcome] = hostileAnswers[what]!;
  // A body is not there to be broken.
  return lines.startsWith("HEAD") && outcome === "broken" ? "whole" : outcome;
}

function expectOutcome(t: Test, client: RawClient, what: string, outcome: Outcome, lines: string): void {
  const { text } = client;
  t.notMatch(text, /evil|domain=/i, what);
  const final = text.replace(/^(HTTP\/1\.1 1\d\d .*\r\n(.+\r\n)*\r\n)+/, "");
  const isClean = isWhole(text, lines) && client.error === undefined;
  switch (outcome) {
    case "502":
      t.match(final, /^HTTP\/1\.1 502 Bad Gateway\r\n[\s\S]*X-Sandbox-Gateway: upstream_reset\r\n/, what);
      return void t.ok(isClean, `${what}: the refusal is whole`);
    case "504":
      t.match(final, /^HTTP\/1\.1 504 Gateway Timeout\r\n[\s\S]*X-Sandbox-Gateway: upstream_timeout\r\n/, what);
      return void t.ok(isClean, `${what}: the refusal is whole`);
    case "refused":
      t.match(final, /^HTTP\/1\.1 50[24] [\s\S]*X-Sandbox-Gateway: upstream_(reset|timeout)\r\n/, what);
      return void t.ok(isClean, `${what}: the refusal is whole`);
    case "broken":
      return void t.notOk(isClean, `${what}: the answer is visibly cut`);
    case "whole":
      return void t.ok(
        isClean || (client.ended && !client.error),
        `${what}: the answer is whole: ${text.slice(0, 300)}`,
      );
    default: {
      const never: never = outcome;
      throw new Error(`unknown outcome: ${never}`);
    }
  }
}
