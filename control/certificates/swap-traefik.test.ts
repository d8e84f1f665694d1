/** What clients of a real Traefik see of a swap, and what happens when Traefik does not take one. */
import { once } from "node:events";
import { readFile, rm, stat, writeFile } from "node:fs/promises";
import { connect as http2 } from "node:http2";
import { Agent, request } from "node:https";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { connect as tls } from "node:tls";
import t from "tap";
import { WebSocket } from "ws";
import { missingPart } from "../../e2e/parts/parts.ts";
import { createAuthority, issueLeaf } from "./certificate-authority.ts";
import type { EdgeConfig } from "./edge.ts";
import { servedFingerprint } from "./served-certificate.ts";
import { startEdge } from "./testing/edge.ts";
import { testLog } from "./testing/log.ts";
import { eventually } from "./testing/traefik.ts";
import type { CertificatePair } from "./valid-certificate.ts";

const options = { skip: missingPart("traefik") };
const host = "s-01jb2q8z6x3v9k4m7n0p5r1s2t-3000.preview.example.com";
const swaps = 50;
const minuteMs = 60_000;

/** Pairs of one authority, each ending a minute after the one before. */
async function makePairs(count: number): Promise<{ ca: string; pairs: CertificatePair[] }> {
  const authority = await createAuthority(new Date(Date.now() - 60 * minuteMs));
  const moments = Array.from({ length: count }, (_, index) => new Date(Date.now() - (count - index) * minuteMs));
  const leaves = moments.map((moment) => issueLeaf(authority, ["*.preview.example.com"], moment));
  return { ca: authority.chain, pairs: await Promise.all(leaves) };
}

async function store({ certDir }: EdgeConfig, { chain, key }: CertificatePair): Promise<void> {
  await writeFile(join(certDir, "fullchain.pem"), chain);
  await writeFile(join(certDir, "privkey.pem"), key);
}

/** Clients of every kind that go on until they are stopped, and tell what failed. */
function startClients(port: number, ca: string) {
  const failures: string[] = [];
  const counts = { fresh: 0, kept: 0, http2: 0, sockets: 0 };
  let stopped = false;
  const failed = (what: string) => (error: unknown) => void failures.push(`${what}: ${error}`);
  const trusted = { host: "127.0.0.1", port, servername: host, ca, headers: { host } };

  async function ask(agent: Agent | false): Promise<void> {
    const asked = request({ ...trusted, agent }).end();
    const [answer] = await once(asked, "response");
    if (answer.statusCode !== 200) throw new Error(`status ${answer.statusCode}`);
    await text(answer);
  }
  async function askFresh(): Promise<void> {
    for (; !stopped; counts.fresh++) await ask(false);
  }
  async function askKept(): Promise<void> {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    for (; !stopped; counts.kept++) await ask(agent);
    agent.destroy();
  }
  async function askHttp2(): Promise<void> {
    const socket = tls({ ...trusted, ALPNProtocols: ["h2"] });
    const session = http2(`https://${host}`, { createConnection: () => socket });
    session.on("error", failed("http2"));
    for (; !stopped; counts.http2++) {
      const stream = session.request({ ":path": "/" });
      const [headers] = await once(stream, "response");
      if (headers[":status"] !== 200) throw new Error(`status ${headers[":status"]}`);
      await text(stream);
    }
    session.close();
  }
  async function echo(): Promise<void> {
    // ws hands all of its options to the request.
    const socket = new WebSocket(`wss://127.0.0.1:${port}/`, { headers: { host }, servername: host, ca } as object);
    socket.on("close", () => stopped || failures.push("a socket was closed"));
    await once(socket, "open");
    for (; !stopped; counts.sockets++) {
      socket.send(String(counts.sockets));
      await once(socket, "message");
    }
    socket.close();
    await once(socket, "close");
  }
  const clients = [askFresh(), askFresh(), askKept(), askHttp2(), echo(), echo(), echo()];
  const all = Promise.all(clients.map((client, index) => client.catch(failed(`client ${index}`))));
  async function stop(): Promise<void> {
    stopped = true;
    await all;
  }
  return { failures, counts, stop };
}

t.test(`no request and no socket fails during ${swaps} swaps, each served within 100 ms`, options, async (t) => {
  const { ca, pairs } = await makePairs(swaps + 1);
  const stack = { proven: true, prepare: (config: EdgeConfig) => store(config, pairs[0]!) };
  const { traefik, edge, config } = await startEdge(
    t,
    { entryPoint: "websecure", tls: true, certSource: "file" },
    stack,
  );
  const address = { host: "127.0.0.1", port: traefik.websecure };
  const clients = startClients(traefik.websecure, ca);
  t.teardown(() => clients.stop());
  const latencies: number[] = [];
  for (const pair of pairs.slice(1)) {
    const before = await servedFingerprint(address, host);
    await store(config, pair);
    let servedAt = 0;
    const watching = eventually(async () => {
      const isNew = (await servedFingerprint(address, host)) !== before;
      servedAt = Date.now();
      return isNew;
    }, 1);
    await edge.refresh();
    await watching;
    // A rename is when the file's entry changed last.
    latencies.push(servedAt - (await stat(join(config.dynamicDir, "certificate.yml"))).ctimeMs);
    t.match(edge.status(), { served: true, lastError: null });
  }
  await clients.stop();
  t.strictSame(clients.failures, []);
  for (const [kind, count] of Object.entries(clients.counts)) t.ok(count > swaps, `${kind}: ${count}`);
  const sorted = latencies.toSorted((one, other) => one - other);
  t.ok(sorted[swaps / 2]! <= 100, `served after ${sorted.map(Math.round)} ms`);
});

t.test("a file that freezes Traefik leaves the old certificate, and is named until it is gone", options, async (t) => {
  const { pairs } = await makePairs(2);
  const log = testLog();
  const stack = {
    proven: true,
    prepare: (config: EdgeConfig) => store(config, pairs[0]!),
    edge: { logger: log.logger, swapMs: 2000 },
  };
  const { traefik, edge, config } = await startEdge(
    t,
    { entryPoint: "websecure", tls: true, certSource: "file" },
    stack,
  );
  const served = () => servedFingerprint({ host: "127.0.0.1", port: traefik.websecure }, host);
  const before = await served();
  const named = log.next("a file in Traefik's dynamic directory is in the way");
  await writeFile(join(config.dynamicDir, "foreign.yml"), "http: [\n");
  t.match(await named, { file: "foreign.yml", problem: /^does not parse/ });
  t.match(edge.status(), { files: [{ file: "foreign.yml" }] });
  await store(config, pairs[1]!);
  await edge.refresh();
  const frozen = edge.status();
  t.match(frozen, {
    lastError: { message: /takes no change of its dynamic directory: foreign.yml does not parse.*put back/ },
  });
  t.equal(await served(), before);
  t.match(await readFile(join(config.dynamicDir, "certificate.yml"), "utf8"), pemLine(pairs[0]!));
  const swapped = log.next("certificate served");
  await rm(join(config.dynamicDir, "foreign.yml"));
  await swapped;
  t.not(await served(), before);
  await eventually(async () => {
    const status = edge.status();
    return status.tls && status.lastError === null && status.files.length === 0;
  });
});

/** A line of the leaf that no other certificate has. */
function pemLine({ chain }: CertificatePair): string {
  return chain.split("\n")[3]!;
}
