import t, { type Test } from "tap";
import { hostileAnswers, hostileApp, isWhole, type Outcome } from "../../gateway/hazards/hostile-answers.ts";
import { RawClient } from "../../gateway/hazards/test-gateway.ts";
import { missingPart } from "../parts/parts.ts";
import { type Edge, startEdge } from "./edge.ts";

/** The gateway's table of hostile answers once more, with Traefik before it. */

const skip = missingPart("traefik");

const ways = {
  "a plain request": "GET / HTTP/1.1\r\n",
  "a request for the head alone": "HEAD / HTTP/1.1\r\n",
  "an upload": "POST / HTTP/1.1\r\nContent-Length: 0\r\n",
  "an upgrade": "GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n",
} as const;

for (const [way, lines] of Object.entries(ways)) {
  t.test(`behind Traefik, a hostile answer to ${way} harms its own client at most`, { skip }, async (t) => {
    const edge = await startEdge(t, { config: { headTimeoutSeconds: 3, bodyIdleSeconds: 1 } });
    const all = Object.entries(hostileAnswers).map(async ([what, answer]) => {
      const host = await edge.addApp(hostileApp(answer));
      const client = new RawClient(edge.traefik.web).send(`${lines}Host: ${host}\r\n\r\n`);
      await client.until(({ closed, ended, text }) => closed || ended || isWhole(text, lines));
      expectOutcome(t, client, what, answer[0], lines);
      client.socket.destroy();
      await expectSound(t, edge, host, what);
    });
    await Promise.all(all);
  });
}

async function expectSound(t: Test, { traefik }: Edge, host: string, what: string): Promise<void> {
  const client = new RawClient(traefik.web).send(`GET /next HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  await client.until(({ text }) => text.endsWith("sound"));
  t.match(client.text, /^HTTP\/1\.1 200 OK\r\n/, `${what}: the next request is answered`);
  client.socket.destroy();
}

function expectOutcome(t: Test, client: RawClient, what: string, outcome: Outcome, lines: string): void {
  const { text } = client;
  t.notMatch(text, /evil|domain=/i, what);
  const final = text.replace(/^(HTTP\/1\.1 1\d\d .*\r\n(.+\r\n)*\r\n)+/, "");
  const isClean = isWhole(text, lines) && client.error === undefined;
  const mayBeWhole = outcome === "whole" || (outcome === "broken" && lines.startsWith("HEAD"));
  if (outcome === "broken" && !mayBeWhole) {
    // A connection that is reset before a head came is a 502 of Traefik's own.
    const isTraefiks = /^HTTP\/1\.1 502 /.test(text) && !text.includes("X-Sandbox-Gateway");
    return void t.ok(!isClean || isTraefiks, `${what}: the answer is visibly cut`);
  }
  t.ok(isClean || (client.ended && !client.error), `${what}: the answer is whole: ${text.slice(0, 300)}`);
  if (mayBeWhole) return;
  t.match(final, outcome === "refused" ? /^HTTP\/1\.1 50[24] / : new RegExp(`^HTTP/1\\.1 ${outcome} `), what);
  t.match(final, /X-Sandbox-Gateway: upstream_(reset|timeout)\r\n/, `${what}: it is the gateway that refuses`);
}
