import t from "tap";
import { claimsFor, hmacToken, nowSeconds } from "../../control/testing/tokens.ts";
import { type Box, Chain, headerOf, navigation, openSession, reasonOf, secret, statusOf, upgrade } from "./chain.ts";

/** Whoever is turned away costs a sandbox's owner nothing: no start, no activity, no use of a link. */

const fast = { SANDBOXD_ACTIVITY_FLUSH_MS: "20" };
const sign = (id: string, more: object = {}) => hmacToken("main", secret, claimsFor(id, more));
const starts = (box: Box) => box.record().filter((line) => line === "start").length;

/** Header lines and a request line each, none with a credential that is good for this sandbox. */
function attempts({ id }: Box, other: Box): readonly (readonly [string, string])[] {
  const header = (token: string) => `X-Preview-Token: ${token}\r\n`;
  return [
    ["", "GET / HTTP/1.1"],
    [navigation, "GET / HTTP/1.1"],
    [upgrade, "GET /socket HTTP/1.1"],
    [`${upgrade}Sec-WebSocket-Protocol: vite-hmr\r\n`, "GET / HTTP/1.1"],
    ["Content-Length: 0\r\n", "POST /wake HTTP/1.1"],
    ["Content-Length: 5\r\nExpect: 100-continue\r\n", "PUT / HTTP/1.1"],
    ["Origin: https://x.example\r\nAccess-Control-Request-Method: PUT\r\n", "OPTIONS / HTTP/1.1"],
    ["Accept: text/event-stream\r\n", "GET /.well-known/sandboxd/state HTTP/1.1"],
    [header("rubbish"), "GET / HTTP/1.1"],
    [header(sign(other.id)), "GET / HTTP/1.1"],
    [header(sign(id, { exp: nowSeconds() - 5 })), "GET / HTTP/1.1"],
    [header(sign(id, { nbf: nowSeconds() + 60 })), "GET / HTTP/1.1"],
    [header(sign(id, { aud: "elsewhere" })), "GET / HTTP/1.1"],
    [header(sign(id, { port: 4000 })), "GET / HTTP/1.1"],
    [header(sign(id, { sub: "bob" })), "GET / HTTP/1.1"],
    [header(hmacToken("main", "a guess", claimsFor(id))), "GET / HTTP/1.1"],
    [header(hmacToken("other", secret, claimsFor(id))), "GET / HTTP/1.1"],
    [`Authorization: Bearer ${sign(other.id)}\r\n`, "GET / HTTP/1.1"],
    [`Cookie: sandboxd-session=${sign(id)}\r\n`, "GET / HTTP/1.1"],
    ["", `GET /?preview_token=${sign(other.id)} HTTP/1.1`],
    ["", `GET /?preview_token=shr_${id.toLowerCase()}_${"A".repeat(43)} HTTP/1.1`],
    ["X-Sandbox-External-User-Id: ada\r\n", "GET / HTTP/1.1"],
  ];
}

t.test("whoever is turned away starts nothing, and only who may starts it, once", async (t) => {
  const chain = await Chain.start(t, fast);
  const [box, other] = [await chain.create({ external: { user_id: "ada" } }), await chain.create()];
  await chain.api("POST", `/v1/sandboxes/${box.id}/stop`, {});
  const before = (await chain.api("GET", `/v1/sandboxes/${box.id}`)).body;
  for (const [lines, line] of attempts(box, other))
    t.equal(statusOf(await box.ask(lines, line)), 401, `${line} ${lines}`);
  const after = (await chain.api("GET", `/v1/sandboxes/${box.id}`)).body;
  t.equal(after.status, "stopped");
  t.same([after.last_active_at, after.generation], [before.last_active_at, before.generation]);
  t.equal(starts(box), 1, "the one of its creation");
  const { recent } = (await chain.api("GET", `/v1/sandboxes/${box.id}/explain`)).body;
  t.same(
    recent.filter(({ kind }: { kind: string }) => kind === "wake" || kind === "extend"),
    [],
  );
  t.equal(statusOf(await box.ask(`X-Preview-Token: ${sign(box.id)}\r\n`)), 200);
  t.equal(starts(box), 2);
});

t.test("what merely looks at a good link starts nothing, spends nothing and gets no session", async (t) => {
  const chain = await Chain.start(t, fast);
  const box = await chain.create();
  const { body: share } = await chain.api("POST", `/v1/sandboxes/${box.id}/shares`, { max_uses: 1 });
  const links = [new URL(share.url).searchParams.get("preview_token")!, sign(box.id)];
  await chain.api("POST", `/v1/sandboxes/${box.id}/stop`, {});
  const lookers: readonly (readonly [string, string])[] = [
    ["User-Agent: Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)\r\n", "GET"],
    ["User-Agent: facebookexternalhit/1.1\r\nAccept: */*\r\n", "GET"],
    ["User-Agent: Mozilla/5.0 (compatible; Googlebot/2.1)\r\nAccept: text/html\r\n", "GET"],
    ["User-Agent: WhatsApp/2.23\r\n", "GET"],
    ["User-Agent: UptimeRobot/2.0\r\n", "GET"],
    [`Sec-Purpose: prefetch\r\n${navigation}`, "GET"],
    [`Sec-Purpose: prefetch;prerender\r\n${navigation}`, "GET"],
    [`Purpose: prefetch\r\n${navigation}`, "GET"],
    ["", "HEAD"],
    [navigation, "HEAD"],
  ];
  for (const token of links) {
    for (const [lines, method] of lookers) {
      const answer = await box.ask(lines, `${method} /?preview_token=${token} HTTP/1.1`);
      t.match([statusOf(answer), headerOf(answer, "x-sandbox-gateway")], [200, "redeem"], `${method} ${lines}`);
      t.equal(headerOf(answer, "set-cookie"), undefined);
      t.equal(headerOf(answer, "referrer-policy"), "no-referrer");
    }
  }
  t.equal(starts(box), 1);
  t.match((await chain.api("GET", `/v1/sandboxes/${box.id}/shares`)).body, {
    items: [{ uses: 0, last_used_at: null }],
  });
  const button = await box.ask(
    `${navigation}Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 0\r\nSec-Fetch-Site: same-origin\r\n`,
    `POST /a?preview_token=${links[0]} HTTP/1.1`,
  );
  t.match([statusOf(button), headerOf(button, "location")], [303, "/a"]);
  t.match((await chain.api("GET", `/v1/sandboxes/${box.id}/shares`)).body, {
    items: [{ uses: 1, last_used_at: /^20/ }],
  });
  t.equal(starts(box), 1, "nor does the redirect need the app");
});

t.test("whoever is turned away keeps nothing awake", async (t) => {
  const chain = await Chain.start(t, fast);
  const [box, other] = [await chain.create({ external: { user_id: "ada" } }), await chain.create()];
  const lastActive = async ({ id }: Box): Promise<string> =>
    (await chain.api("GET", `/v1/sandboxes/${id}`)).body.last_active_at;
  const [before, othersBefore] = [await lastActive(box), await lastActive(other)];
  for (const [lines, line] of attempts(box, other)) await box.ask(lines, line);
  // What gateways saw comes in one report: when this one is there, the others would be.
  t.equal(statusOf(await other.ask(`X-Preview-Token: ${sign(other.id)}\r\n`)), 200);
  while ((await lastActive(other)) === othersBefore);
  t.equal(await lastActive(box), before);
  t.equal(box.record().length, 1, "and nothing reached its app");
});

t.test("a verdict that is known ends with the token, whatever it opened", async (t) => {
  const chain = await Chain.start(t, fast);
  const box = await chain.create();
  const token = sign(box.id, { exp: nowSeconds() + 3 });
  const session = await openSession(box, token);
  const credentials = [`X-Preview-Token: ${token}\r\n`, session];
  for (const lines of credentials) t.equal(statusOf(await box.ask(lines)), 200);
  for (const lines of credentials) {
    let answer = await box.ask(lines);
    while (statusOf(answer) === 200) answer = await box.ask(lines);
    t.equal(reasonOf(answer), "expired");
  }
});
