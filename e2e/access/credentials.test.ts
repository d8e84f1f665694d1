import t from "tap";
import { claimsFor, hmacToken, nowSeconds } from "../../control/testing/tokens.ts";
import { RawClient } from "../../gateway/hazards/test-gateway.ts";
import { Chain, headerOf, navigation, openSession, reasonOf, secret, statusOf, upgrade } from "./chain.ts";

/** What lets a visitor in, and what the app of a private preview learns of it. */

const sign = (id: string, more: object = {}) => hmacToken("main", secret, claimsFor(id, more));
const header = (token: string) => `X-Preview-Token: ${token}\r\n`;
const bearer = (token: string) => `Authorization: Bearer ${token}\r\n`;
const shown = (answer: string) => JSON.parse(answer.slice(answer.indexOf("{"), answer.lastIndexOf("}") + 1));

t.test("a token lets in from each of its four places, and none of them reaches the app", async (t) => {
  const chain = await Chain.start(t);
  const box = await chain.create({ external: { user_id: "ada" } });
  const token = sign(box.id);
  const session = await openSession(box, token);
  const own = "a=b; c=d";
  const places: readonly (readonly [string, string, string])[] = [
    ["cookie", session.replace("Cookie: ", `Cookie: a=b; `).replace("\r\n", "; c=d\r\n"), "/x?y=1"],
    ["header", `${header(token)}Cookie: ${own}\r\n`, "/x?y=1"],
    ["bearer", `${bearer(token)}Cookie: ${own}\r\n`, "/x?y=1"],
    [
      "query",
      `Cookie: ${own}\r\nReferer: http://${box.host}/p?preview_token=${token}&q\r\n`,
      `/x?preview_token=${token}&y=1`,
    ],
  ];
  for (const [place, lines, target] of places) {
    const answer = await box.ask(
      `${lines}X-Sandbox-External-User-Id: root\r\nX_Sandbox_External_User_Id: root\r\n`,
      `GET ${target} HTTP/1.1`,
    );
    t.equal(statusOf(answer), 200, place);
    const { url, headers, raw } = shown(answer);
    t.equal(url, "/x?y=1", place);
    t.match(headers, { cookie: own, "x-sandbox-external-user-id": "ada" }, place);
    t.equal(raw.filter((name: string) => /^x[-_]sandbox/i.test(name)).length, 1, `${place}: one identity`);
    t.notMatch(JSON.stringify(raw), /eyJ|preview.token|sandboxd-session/i, place);
  }
  const socket = new RawClient(chain.port).send(
    `GET /socket?preview_token=${token} HTTP/1.1\r\nHost: ${box.host}\r\n${upgrade}X-Sandbox-External-User-Id: root\r\n\r\n`,
  );
  await socket.until(({ text }) => text.startsWith("HTTP/1.1 101"));
  socket.socket.destroy();
  t.ok(box.record().includes("UPGRADE /socket"), "a socket's URL loses its token too");
});

t.test("of several credentials the first that is good lets in, and else the first says why", async (t) => {
  const chain = await Chain.start(t);
  const box = await chain.create();
  const [good, expired, early] = [
    sign(box.id),
    sign(box.id, { exp: nowSeconds() - 9 }),
    sign(box.id, { nbf: nowSeconds() + 60 }),
  ];
  const [session, foreign] = [await openSession(box, good), sign((await chain.create()).id)];
  const bad = `Cookie: sandboxd-session=${"x".repeat(20)}\r\n`;
  const query = (token: string) => `GET /?preview_token=${token} HTTP/1.1`;
  for (const [lines, line] of [
    [session + header(expired) + bearer(foreign), query(expired)],
    [bad + header(good) + bearer(foreign), query(expired)],
    [bad + header(expired) + bearer(good), query(foreign)],
    [bad + header(expired) + bearer(foreign), query(good)],
  ] as const) {
    t.equal(statusOf(await box.ask(lines, line)), 200);
  }
  for (const [lines, line, reason] of [
    [bad + header(expired) + bearer(foreign), query(early), "malformed"],
    [header(expired) + bearer(foreign), query(early), "expired"],
    [bearer(foreign), query(early), "wrong_sandbox"],
    ["", query(early), "not_yet_valid"],
    ["", "GET / HTTP/1.1", "no_token"],
  ] as const) {
    t.equal(reasonOf(await box.ask(lines, line)), reason);
  }
});

t.test("a visitor without a credential is led to where there is one, and back again", async (t) => {
  const chain = await Chain.start(t, {
    SANDBOXD_AUTH_REDIRECT_URL: "https://app.example/in?box={sandbox_id}&to={return}",
  });
  const box = await chain.create();
  const denied = await box.ask(navigation, "GET /a?b=c&preview_token=old HTTP/1.1");
  t.equal(statusOf(denied), 302);
  const there = new URL(headerOf(denied, "location")!);
  t.equal(there.searchParams.get("box"), box.id);
  t.equal(there.searchParams.get("to"), `http://${box.host}/a?b=c`, "without the token that was no good");
  t.equal(headerOf(denied, "referrer-policy"), "no-referrer");
  const landing = `GET /preview-auth?${new URLSearchParams({ token: sign(box.id), return: there.searchParams.get("to")! })} HTTP/1.1`;
  const landed = await chain.edge(navigation, landing);
  t.equal(statusOf(landed), 303);
  t.equal(headerOf(landed, "referrer-policy"), "no-referrer");
  t.equal(headerOf(landed, "set-cookie"), undefined);
  const onward = new URL(headerOf(landed, "location")!);
  t.equal(onward.host, box.host);
  const opened = await box.ask(navigation, `GET ${onward.pathname}${onward.search} HTTP/1.1`);
  t.match([statusOf(opened), headerOf(opened, "location")], [303, "/a?b=c"]);
  t.equal(headerOf(opened, "referrer-policy"), "no-referrer");
  const cookie = headerOf(opened, "set-cookie")!.split(";", 1)[0]!;
  t.equal(statusOf(await box.ask(`${navigation}Cookie: ${cookie}\r\n`, "GET /a?b=c HTTP/1.1")), 200);
  t.equal(statusOf(await box.ask(upgrade)), 401, "an upgrade is led nowhere");
  t.equal(statusOf(await box.ask("", "GET /a.js HTTP/1.1")), 401);
});

t.test("an app can neither set nor shadow the session, nor plant anything elsewhere", async (t) => {
  const chain = await Chain.start(t);
  const box = await chain.create();
  const session = await openSession(box, sign(box.id));
  const { hostname } = new URL(box.url);
  const planted = [
    "sandboxd-session=x; Path=/",
    "__Host-sandboxd-session=x; Secure; Path=/",
    "=sandboxd-session=x",
    `own=1; Domain=${chain.domain}`,
    `own=2; domain=.preview.${chain.domain}; Path=/`,
    `own=3; Domain=${hostname}`,
  ].join("|");
  const answer = await box.ask(session, `GET /cookies/${encodeURIComponent(planted)} HTTP/1.1`);
  t.same(
    answer.match(/^set-cookie: .*/gim)?.map((line) => line.trim()),
    ["set-cookie: own=1", "set-cookie: own=2; Path=/", `set-cookie: own=3; Domain=${hostname}`],
  );
  t.equal(headerOf(answer, "service-worker-allowed"), undefined, "nor take over more of its host than it serves");
  for (const other of ["sandboxd-session=planted", "sandboxd-session="]) {
    const both = session.replace("Cookie: ", `Cookie: ${other}; `);
    t.equal(statusOf(await box.ask(both)), 200, `beside ${other}`);
    t.equal(statusOf(await box.ask(`Cookie: ${other}\r\n${session}`)), 200, "in two headers");
  }
});

t.test("the session cookie is host-only over TLS, and no other is taken there", async (t) => {
  const chain = await Chain.start(t, { PREVIEW_SCHEME: "https" });
  const box = await chain.create();
  const answer = await box.ask(navigation, `GET /?preview_token=${sign(box.id)} HTTP/1.1`);
  const cookie = headerOf(answer, "set-cookie")!;
  t.match(cookie, /^__Host-sandboxd-session=\S+; Path=\/; Max-Age=\d+; HttpOnly; Secure; SameSite=None; Partitioned$/);
  const pair = cookie.split(";", 1)[0]!;
  t.equal(statusOf(await box.ask(`Cookie: ${pair}\r\n`)), 200);
  t.equal(reasonOf(await box.ask(`Cookie: ${pair.replace("__Host-", "")}\r\n`)), "no_token");
  t.equal(statusOf(await box.ask(`Cookie: ${pair.replace("__Host-", "")}; ${pair}\r\n`)), 200);
});
