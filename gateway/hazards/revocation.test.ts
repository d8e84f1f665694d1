import { once } from "node:events";
import t, { type Test } from "tap";
import type { AccessKey, Revocation } from "#contract/access.ts";
import type { WakeOutcome } from "#contract/gateway-api.ts";
import { mintShareToken } from "#contract/share-token.ts";
import {
  headerOf,
  navigation,
  type PrivatePreview,
  reasonOf,
  settle,
  startPrivatePreview,
  statusOf,
} from "./private-preview.ts";
import { addRoute, RawClient } from "./test-gateway.ts";
import { claimsFor, hmacKey, nowSeconds, publicKey, token, tokenBy } from "./test-tokens.ts";

const header = (text: string) => `X-Preview-Token: ${text}\r\n`;
const upgrade =
  "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
const until = Date.now() + 3_600_000;
const stream = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n";

async function openSession({ ask }: PrivatePreview, text: string): Promise<string> {
  const answer = await ask(navigation, `GET /?preview_token=${text} HTTP/1.1`);
  return `Cookie: ${headerOf(answer, "set-cookie")!.split(";", 1)[0]!}\r\n`;
}

/** Opens a socket, a stream of the app's and one of the gateway's, each by these header lines. */
async function openAll({ port, host }: PrivatePreview, lines: string): Promise<RawClient[]> {
  const send = (line: string, more = "") =>
    new RawClient(port).send(`GET ${line} HTTP/1.1\r\nHost: ${host}\r\n${lines}${more}\r\n`);
  return await Promise.all([
    send("/", upgrade).until(({ text }) => text.startsWith("HTTP/1.1 101")),
    send("/stream").until(({ text }) => text.includes("data: 1\n\n")),
    send("/.well-known/sandboxd/state", "Accept: text/event-stream\r\n").until(({ text }) =>
      text.includes("event: state"),
    ),
  ]);
}

/** Does it, and says how many milliseconds later all of them had ended. */
async function millisecondsTo(act: () => void, clients: readonly RawClient[]): Promise<number> {
  const begun = performance.now();
  act();
  await Promise.all(clients.map((client) => client.until(({ ended, closed }) => ended || closed)));
  const took = performance.now() - begun;
  for (const { socket } of clients) socket.destroy();
  return took;
}

type Case = {
  readonly name: string;
  readonly claims?: object;
  readonly act: (preview: PrivatePreview) => void;
};

const otherSecret: AccessKey = { alg: "HS256", kid: hmacKey.kid, fingerprint: "another", secret: "b3RoZXI" };
const revoke = (of: (preview: PrivatePreview) => Revocation) => (preview: PrivatePreview) =>
  preview.control.revoke(of(preview));

const cases: readonly Case[] = [
  { name: "a jti", claims: { jti: "j1" }, act: revoke(() => ({ kind: "jti", jti: "j1", until })) },
  { name: "a kid", act: revoke(() => ({ kind: "kid", kid: "main", until: null })) },
  {
    name: "a subject",
    act: revoke(() => ({ kind: "subject", subject: "ada", sandboxId: null, at: Date.now(), until })),
  },
  {
    name: "a subject of one sandbox",
    act: revoke(({ id }) => ({ kind: "subject", subject: "ada", sandboxId: id, at: Date.now(), until })),
  },
  { name: "a sandbox", act: revoke(({ id }) => ({ kind: "sandbox", sandboxId: id, at: Date.now(), until })) },
  { name: "a removed secret", act: ({ control }) => control.setAccess({ keys: [] }) },
  {
    name: "a secret that was changed",
    act: ({ control }) => control.setAccess({ keys: [otherSecret] }),
  },
  { name: "another owner", act: ({ control, route }) => void control.publish({ ...route, owner: "bob" }) },
];

for (const { name, claims = {}, act } of cases) {
  t.test(`revocation of ${name} ends what is open within a second, and what was verified before`, async (t) => {
    const preview = await startPrivatePreview(t, { answer: stream });
    const text = token(claimsFor(preview.id, claims));
    const session = await openSession(preview, text);
    const open = [...(await openAll(preview, header(text))), ...(await openAll(preview, session))];
    const took = await millisecondsTo(() => act(preview), open);
    t.ok(took < 1000, `${took.toFixed(0)} ms`);
    for (const lines of [header(text), session]) {
      t.equal(statusOf(await preview.ask(lines)), 401, "a cached verdict is none any more");
    }
  });
}

t.test("revocation says so", async (t) => {
  const preview = await startPrivatePreview(t);
  const lines = header(token(claimsFor(preview.id, { jti: "j" })));
  t.equal(statusOf(await preview.ask(lines)), 200);
  await settle(preview, () => preview.control.revoke({ kind: "jti", jti: "j", until }));
  t.equal(reasonOf(await preview.ask(lines)), "revoked");
  t.equal(statusOf(await preview.ask(header(token(claimsFor(preview.id, { jti: "k" }))))), 200, "and of nothing else");
});

t.test("a sandbox that is made private ends what was open to everybody", async (t) => {
  const preview = await startPrivatePreview(t, { route: { visibility: "public" }, answer: stream });
  const open = await openAll(preview, "");
  const took = await millisecondsTo(() => preview.control.publish({ ...preview.route, visibility: "private" }), open);
  t.ok(took < 1000, `${took.toFixed(0)} ms`);
});

t.test("revocation leaves alone what was opened by something else", async (t) => {
  const preview = await startPrivatePreview(t, { answer: stream });
  const [socket, events] = await openAll(preview, header(token(claimsFor(preview.id, { jti: "kept" }))));
  await settle(preview, () => preview.control.revoke({ kind: "jti", jti: "other", until }));
  await settle(preview, () => preview.control.setAccess({ redirectUrl: "https://app.example/" }));
  await addRoute(preview, { ...preview.route, hostPolicy: "preserve" });
  t.notOk(socket!.ended || events!.ended);
  for (const { socket: each } of [socket!, events!]) each.destroy();
});

t.test("who was revoked while it was held is refused, and its request never reaches the app", async (t) => {
  const preview = await startPrivatePreview(t, { route: { status: "stopped", endpoints: [] } });
  const waking = Promise.withResolvers<WakeOutcome>();
  preview.control.wake = () => waking.promise;
  const lines = header(token(claimsFor(preview.id, { jti: "j" })));
  const send = (more: string) =>
    new RawClient(preview.port).send(`GET /held HTTP/1.1\r\nHost: ${preview.host}\r\n${lines}${more}\r\n`);
  const [held, socket] = [send(""), send(upgrade)];
  await once(preview.control.called, "wake");
  preview.control.revoke({ kind: "jti", jti: "j", until });
  for (const client of [held, socket]) await client.until(({ text }) => text.includes('"reason":"revoked"'));
  const { status, endpoints } = { ...preview.route, status: "running" as const, endpoints: endpointsOf(preview) };
  await addRoute(preview, { ...preview.route, status, endpoints, run: 2 });
  waking.resolve({ outcome: "ready", route: preview.gateway.table.get(preview.id)! });
  t.equal(statusOf(await preview.ask(header(token(claimsFor(preview.id))))), 200);
  t.notMatch(preview.heads.join(), /\/held/);
  for (const client of [held, socket]) client.socket.destroy();
});

function endpointsOf({ appPort }: PrivatePreview) {
  return [{ port: 3000, address: "127.0.0.1", upstreamPort: appPort }];
}

t.test("a subject that signs in anew after its revocation is let in", async (t) => {
  const preview = await startPrivatePreview(t);
  const revocation = { kind: "subject", subject: "ada", sandboxId: null, at: Date.now() - 60_000, until } as const;
  await settle(preview, () => preview.control.revoke(revocation));
  const issuedAt = (iat: number | undefined) => header(token(claimsFor(preview.id, { iat })));
  t.equal(reasonOf(await preview.ask(issuedAt(nowSeconds() - 61))), "revoked");
  t.equal(reasonOf(await preview.ask(issuedAt(undefined))), "revoked", "one that does not say when is an old one");
  t.equal(statusOf(await preview.ask(issuedAt(nowSeconds()))), 200);
});

t.test("what was revoked before a gateway came, or came back, is revoked there", async (t) => {
  const preview = await startPrivatePreview(t);
  const lines = header(token(claimsFor(preview.id, { jti: "j" })));
  t.equal(statusOf(await preview.ask(lines)), 200);
  preview.control.accept = (call) => call !== "routes";
  preview.control.cut();
  preview.control.revoke({ kind: "jti", jti: "j", until });
  preview.control.accept = () => true;
  await settle(preview, () => {});
  t.equal(reasonOf(await preview.ask(lines)), "revoked");
});

t.test("a share that is deleted ends its sessions and sockets", async (t) => {
  const preview = await startPrivatePreview(t, { answer: stream });
  const session = await openShare(t, preview, { limited: false });
  const open = await openAll(preview, session);
  const took = await millisecondsTo(() => preview.control.revoke({ kind: "share", share: "S1", until }), open);
  t.ok(took < 1000, `${took.toFixed(0)} ms`);
  t.equal(reasonOf(await preview.ask(session)), "revoked");
});

/** Redeems a share as a browser does. */
async function openShare(t: Test, preview: PrivatePreview, { limited }: { limited: boolean }): Promise<string> {
  const { sessionKey } = preview.control.access.settings;
  preview.control.share = () => ({
    ...{ outcome: "granted", share: "S1", port: null, limited },
    ...{ expiresAt: until, issuedAt: Date.now() },
  });
  const text = mintShareToken("01JB2Q8Z6X3V9K4M7N0P5R1S2T", sessionKey);
  t.match(preview.control.shareRequests, []);
  return await openSession(preview, text);
}

t.test("who was revoked while its share was being used is refused", async (t) => {
  const preview = await startPrivatePreview(t);
  const revoked = () => preview.control.revoke({ kind: "sandbox", sandboxId: preview.id, at: Date.now(), until });
  const granted = {
    outcome: "granted",
    share: "S1",
    port: null,
    limited: false,
    expiresAt: until,
    issuedAt: 0,
  } as const;
  const used = Promise.withResolvers<void>();
  preview.control.accept = async (call) => {
    if (call === "shares" && preview.control.shareRequests.length === 1) {
      // It is looked at already, and used only after the gateway has heard of the revocation.
      await settle(preview, revoked);
      used.resolve();
    }
    return true;
  };
  preview.control.share = () => granted;
  const text = mintShareToken("01JB2Q8Z6X3V9K4M7N0P5R1S2T", preview.control.access.settings.sessionKey);
  const answer = await preview.ask("", `GET /late?preview_token=${text} HTTP/1.1`);
  await used.promise;
  t.equal(reasonOf(answer), "revoked");
  t.same(preview.heads, []);
});

t.test("a sandbox that changes hands while a token is verified goes by its new owner", async (t) => {
  const preview = await startPrivatePreview(t, { route: { owner: "ada" }, settings: { keys: [], keysMayGrow: true } });
  const { access } = preview.control;
  const grown = { ...access, settings: { ...access.settings, keys: [publicKey("ES256")] } };
  preview.control.findKeys = () => ({ access: grown, retryAfterMs: 60_000 });
  preview.control.accept = async (call) => {
    if (call === "keys") await addRoute(preview, { ...preview.route, owner: "bob" });
    return true;
  };
  t.equal(reasonOf(await preview.ask(header(tokenBy("ES256", claimsFor(preview.id))))), "wrong_user");
  t.same(preview.heads, []);
});
