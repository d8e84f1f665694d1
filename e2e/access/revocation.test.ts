import t, { type Test } from "tap";
import { claimsFor, hmacToken } from "../../control/testing/tokens.ts";
import { RawClient } from "../../gateway/hazards/test-gateway.ts";
import { type Box, Chain, openSession, reasonOf, secret, statusOf, upgrade } from "./chain.ts";
import { workerBehind, workersOf } from "./workers.ts";

/** A revocation is heard by every gateway worker within a second, and what it had let in ends there. */

const needsProc = { skip: process.platform !== "linux" && "tells workers apart by /proc" };
const workers = 3;
const mostMilliseconds = 1_000;

type Opened = { readonly what: string; readonly worker: number; readonly client: RawClient; endedAt?: number };
type Way = { readonly what: string; readonly lines: string; readonly path: string; readonly begun: string };

/** A socket, a stream of the app's and one of the gateway's own. */
const ways: readonly Way[] = [
  { what: "socket", lines: upgrade, path: "/socket", begun: "HTTP/1.1 101" },
  { what: "stream", lines: "", path: "/stream", begun: "data: first\n\n" },
  {
    what: "state",
    lines: "Accept: text/event-stream\r\n",
    path: "/.well-known/sandboxd/state",
    begun: "event: state",
  },
];

/** Opens each of them in each of the workers, by these header lines. */
async function openEverywhere(chain: Chain, { host }: Box, lines: string): Promise<Opened[]> {
  const opened: Opened[] = [];
  for (const { what, lines: more, path, begun } of ways) {
    const met = new Set<number>();
    // Workers get connections in turn, but nobody promises that.
    while (met.size < workers) {
      const client = new RawClient(chain.port).send(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\n${lines}${more}\r\n`);
      await client.until(({ text }) => text.includes(begun));
      const worker = workerBehind(chain, client);
      if (met.has(worker)) client.socket.destroy();
      else opened.push({ what, worker, client });
      met.add(worker);
    }
  }
  return opened;
}

/** Notes when each of them ends. */
async function watchEnds(opened: readonly Opened[]): Promise<void> {
  const ends = opened.map(async (each) => {
    await each.client.until(({ ended, closed }) => ended || closed);
    each.endedAt = performance.now();
    each.client.socket.destroy();
  });
  await Promise.all(ends);
}

/** Asks until every worker has answered, and returns what each of them said. */
async function askEverywhere(chain: Chain, { host }: Box, lines: string): Promise<Map<number, string>> {
  const answers = new Map<number, string>();
  while (answers.size < workers) {
    const client = new RawClient(chain.port).send(`GET / HTTP/1.1\r\nHost: ${host}\r\n${lines}\r\n`);
    await client.until(({ text }) => text.includes("\r\n\r\n"));
    answers.set(workerBehind(chain, client), client.text);
    client.socket.destroy();
  }
  return answers;
}

type Case = {
  readonly name: string;
  readonly box?: object;
  readonly claims?: object;
  /** The header lines of whoever is let in, besides a session of theirs; what is absent is a token by the claims. */
  readonly enter?: (chain: Chain, box: Box) => Promise<readonly string[]>;
  readonly act: (chain: Chain, box: Box) => Promise<unknown>;
  /** Why each of them is refused from then on. */
  readonly reasons: readonly string[];
};

const shares = new Map<Box, string>();
const cases: readonly Case[] = [
  {
    name: "a share that is deleted",
    async enter({ api }, box) {
      const { body } = await api("POST", `/v1/sandboxes/${box.id}/shares`, {});
      shares.set(box, body.id);
      return [await openSession(box, new URL(body.url).searchParams.get("preview_token")!)];
    },
    act: ({ api }, box) => api("DELETE", `/v1/sandboxes/${box.id}/shares/${shares.get(box)}`),
    reasons: ["revoked"],
  },
  {
    name: "a jti",
    claims: { jti: "the-one" },
    act: ({ api }) => api("POST", "/v1/revocations", { jti: "the-one" }),
    reasons: ["revoked", "revoked"],
  },
  {
    name: "a subject",
    claims: { sub: "grace" },
    act: ({ api }) => api("POST", "/v1/revocations", { subject: "grace" }),
    reasons: ["revoked", "revoked"],
  },
  {
    name: "a subject of one sandbox",
    claims: { sub: "alan" },
    act: ({ api }, { id }) => api("POST", "/v1/revocations", { subject: "alan", sandbox_id: id }),
    reasons: ["revoked", "revoked"],
  },
  {
    name: "everything of one sandbox",
    act: ({ api }, { id }) => api("POST", "/v1/revocations", { sandbox_id: id }),
    reasons: ["revoked", "revoked"],
  },
  {
    name: "a sandbox that is made private",
    box: { visibility: "public" },
    enter: async () => [""],
    act: ({ api }, { id }) => api("PATCH", `/v1/sandboxes/${id}`, { visibility: "private" }),
    reasons: ["no_token"],
  },
  {
    name: "a sandbox that is given to somebody else",
    act: ({ api }, { id }) => api("PATCH", `/v1/sandboxes/${id}`, { external: { user_id: "bob" } }),
    reasons: ["wrong_user", "wrong_user"],
  },
  {
    name: "a secret that is gone from the environment file",
    act: (chain) => chain.reload("SANDBOXD_PREVIEW_TOKEN_SECRETS=other=another-secret\n"),
    reasons: ["bad_signature", "revoked"],
  },
];

async function revokes(t: Test, chain: Chain, { name, box: more = {}, claims = {}, enter, act, reasons }: Case) {
  const box = await chain.create(more);
  const token = hmacToken("main", secret, claimsFor(box.id, claims));
  const entrances = await (enter?.(chain, box) ?? [`X-Preview-Token: ${token}\r\n`, await openSession(box, token)]);
  const opened: Opened[] = [];
  for (const lines of entrances) opened.push(...(await openEverywhere(chain, box, lines)));
  const ended = watchEnds(opened);
  const begun = performance.now();
  await act(chain, box);
  await ended;
  for (const worker of workersOf(chain)) {
    const times = opened.filter((each) => each.worker === worker).map((each) => each.endedAt! - begun);
    t.equal(times.length, ways.length * entrances.length);
    const last = Math.max(...times);
    t.ok(last < mostMilliseconds, `${name}: everything in worker ${worker} ended within ${last.toFixed(0)} ms`);
  }
  for (const [index, lines] of entrances.entries()) {
    for (const [worker, answer] of await askEverywhere(chain, box, lines)) {
      t.equal(statusOf(answer), 401, `${name}: worker ${worker} lets nobody in`);
      t.equal(reasonOf(answer), reasons[index], `${name}: and says why`);
    }
  }
}

t.test("what is revoked ends in every gateway worker within a second, and lets nobody in", needsProc, async (t) => {
  const chain = await Chain.start(t, { GATEWAY_WORKERS: String(workers) });
  t.equal(workersOf(chain).length, workers);
  const kept = await chain.create();
  const token = hmacToken("main", secret, claimsFor(kept.id, { sub: "kept" }));
  const alive = await openEverywhere(chain, kept, `X-Preview-Token: ${token}\r\n`);
  for (const each of cases) {
    if (each === cases.at(-1))
      t.notOk(
        alive.some(({ client }) => client.ended),
        "nothing else had ended until then",
      );
    await revokes(t, chain, each);
  }
  await watchEnds(alive);
});
