import t from "tap";
import type { PrivatePreview } from "../hazards/private-preview.ts";
import { headerOf, navigation, reasonOf, settle, startPrivatePreview, statusOf } from "../hazards/private-preview.ts";
import { addRoute, newId } from "../hazards/test-gateway.ts";
import { claimsFor, nowSeconds, token, tokenBy } from "../hazards/test-tokens.ts";

const bearer = (text: string) => `Authorization: Bearer ${text}\r\n`;
const header = (text: string) => `X-Preview-Token: ${text}\r\n`;

/** Opens a session the way a browser does. */
async function openSession(preview: PrivatePreview, text: string): Promise<string> {
  const answer = await preview.ask(navigation, `GET /?preview_token=${text} HTTP/1.1`);
  return headerOf(answer, "set-cookie")!.split(";", 1)[0]!;
}

t.test("access() lets in with a token in each of the four places, and none of them reaches the app", async (t) => {
  const preview = await startPrivatePreview(t);
  const good = token(claimsFor(preview.id));
  const session = await openSession(preview, good);
  t.equal(preview.heads.length, 0, "a session is opened without the app");
  const own = "Cookie: a=b; c=d\r\n";
  for (const [name, lines, line] of [
    ["header", header(good), "GET /x?a=1 HTTP/1.1"],
    ["bearer", bearer(good), "GET /x?a=1 HTTP/1.1"],
    ["cookie", `Cookie: a=b; ${session}; c=d\r\n`, "GET /x?a=1 HTTP/1.1"],
    ["query", "", `GET /x?a=1&preview_token=${good} HTTP/1.1`],
  ] as const) {
    t.equal(statusOf(await preview.ask(lines + (name === "cookie" ? "" : own), line)), 200, name);
    const head = preview.heads.at(-1)!;
    t.match(head, /^GET \/x\?a=1 HTTP/, name);
    t.notMatch(head, /preview[-_]token|sandboxd-session|eyJ/i, name);
    t.match(head, /Cookie: a=b; c=d\r\n/, `${name}: the app's own cookies as they were`);
    t.match(head, /X-Sandbox-External-User-Id: ada\r\n/, name);
  }
});

t.test("access() verifies every algorithm with its own key", async (t) => {
  const preview = await startPrivatePreview(t);
  for (const alg of ["EdDSA", "ES256", "RS256"] as const) {
    t.equal(statusOf(await preview.ask(header(tokenBy(alg, claimsFor(preview.id))))), 200, alg);
    const mixed = tokenBy(alg, claimsFor(preview.id), { kid: alg === "EdDSA" ? "ES256-key" : "EdDSA-key" });
    t.equal(reasonOf(await preview.ask(header(mixed))), "bad_signature", `${alg} under another key's name`);
  }
});

t.test("access() says why a token is refused", async (t) => {
  const preview = await startPrivatePreview(t, { route: { owner: "ada" } });
  const of = (more: object) => token(claimsFor(preview.id, more));
  const reasons: readonly (readonly [string, string, string])[] = [
    ["none", "", "no_token"],
    ["rubbish", header("rubbish"), "malformed"],
    ["two parts", header("a.b"), "malformed"],
    ["too long", header(`${of({})}${"A".repeat(9000)}`), "malformed"],
    ["unknown kid", header(token(claimsFor(preview.id), { kid: "other" })), "bad_signature"],
    ["no kid", header(token(claimsFor(preview.id), { kid: undefined })), "bad_signature"],
    ["wrong secret", header(token(claimsFor(preview.id), {}, "other")), "bad_signature"],
    ["no aud", header(of({ aud: undefined })), "missing_claim"],
    ["no exp", header(of({ exp: undefined })), "missing_claim"],
    ["no sub", header(of({ sub: undefined })), "missing_claim"],
    ["no sandbox_id", header(of({ sandbox_id: undefined })), "missing_claim"],
    ["other aud", header(of({ aud: "elsewhere" })), "wrong_audience"],
    ["expired", header(of({ exp: nowSeconds() - 1 })), "expired"],
    ["early", header(of({ nbf: nowSeconds() + 60 })), "not_yet_valid"],
    ["issued in the future", header(of({ iat: nowSeconds() + 600 })), "not_yet_valid"],
    ["too late an exp", header(of({ exp: nowSeconds() + 32 * 86_400 })), "malformed"],
    ["exp as text", header(of({ exp: "9999999999" })), "malformed"],
    ["sub that ends a header", header(of({ sub: "a\r\nX-Evil: 1" })), "malformed"],
    ["other sandbox", header(of({ sandbox_id: newId() })), "wrong_sandbox"],
    ["other user", header(of({ sub: "bob" })), "wrong_user"],
    ["other port", header(of({ port: 4000 })), "wrong_port"],
    ["bearer of ours", bearer(of({ sub: "bob" })), "wrong_user"],
    ["bearer of theirs", bearer("anything"), "no_token"],
  ];
  for (const [name, lines, reason] of reasons) {
    const answer = await preview.ask(lines);
    t.equal(statusOf(answer), 401, name);
    t.equal(reasonOf(answer), reason, name);
  }
  t.equal(preview.heads.length, 0, "the app hears of none of them");
  for (const more of [
    {},
    { aud: ["x", "sandbox-preview"] },
    { port: 3000 },
    { sandbox_id: preview.id.toLowerCase() },
  ]) {
    t.equal(statusOf(await preview.ask(header(of(more)))), 200, JSON.stringify(more));
  }
});

t.test("access() takes the first credential that is good, and else the first one's reason", async (t) => {
  const preview = await startPrivatePreview(t);
  const good = token(claimsFor(preview.id));
  const expired = token(claimsFor(preview.id, { exp: nowSeconds() - 1 }));
  const foreign = token(claimsFor(newId()));
  t.equal(statusOf(await preview.ask(header(expired) + bearer(good))), 200);
  t.equal(statusOf(await preview.ask(header(good), `GET /?preview_token=${expired} HTTP/1.1`)), 200);
  t.equal(reasonOf(await preview.ask(header(expired) + bearer(foreign))), "expired");
  t.equal(reasonOf(await preview.ask(bearer(foreign), `GET /?preview_token=${expired} HTTP/1.1`)), "wrong_sandbox");
});

t.test("access() leaves an Authorization that is no preview token to the app", async (t) => {
  const preview = await startPrivatePreview(t);
  const good = token(claimsFor(preview.id));
  const theirs = token({ aud: "their-api", sub: "x" }, { kid: "their-key" });
  for (const value of ["Basic dTpw", `Bearer ${theirs}`, "Bearer opaque"]) {
    await preview.ask(`${header(good)}Authorization: ${value}\r\n`);
    t.ok(preview.heads.at(-1)!.includes(`Authorization: ${value}\r\n`), value);
  }
});

t.test("access() redeems a navigation's token for a cookie and a URL without it", async (t) => {
  const preview = await startPrivatePreview(t);
  const good = token(claimsFor(preview.id));
  const answer = await preview.ask(navigation, `GET /a%2Fb?x=%20&preview_token=${good}&y HTTP/1.1`);
  t.equal(statusOf(answer), 303);
  t.equal(headerOf(answer, "location"), "/a%2Fb?x=%20&y");
  t.equal(headerOf(answer, "referrer-policy"), "no-referrer");
  t.match(
    headerOf(answer, "set-cookie"),
    /^sandboxd-session=[^;]+; Path=\/; Max-Age=3[0-9]{3}; HttpOnly; SameSite=Lax$/,
  );
  const cookie = headerOf(answer, "set-cookie")!.split(";", 1)[0]!;
  const again = await preview.ask(`${navigation}Cookie: ${cookie}\r\n`, `GET /c?preview_token=${good} HTTP/1.1`);
  t.equal(statusOf(again), 303, "who has a session already loses the token from the URL too");
  t.equal(headerOf(again, "set-cookie"), undefined);
  t.equal(preview.heads.length, 0);
});

t.test("access() gives the strict cookie over TLS, and takes no other there", async (t) => {
  const preview = await startPrivatePreview(t, { settings: { secure: true } });
  const answer = await preview.ask(navigation, `GET /?preview_token=${token(claimsFor(preview.id))} HTTP/1.1`);
  const cookie = headerOf(answer, "set-cookie")!;
  t.match(
    cookie,
    /^__Host-sandboxd-session=[^;]+; Path=\/; Max-Age=\d+; HttpOnly; Secure; SameSite=None; Partitioned$/,
  );
  const pair = cookie.split(";", 1)[0]!;
  t.equal(statusOf(await preview.ask(`Cookie: ${pair}\r\n`)), 200);
  t.equal(reasonOf(await preview.ask(`Cookie: ${pair.replace("__Host-", "")}\r\n`)), "no_token");
});

t.test("access() sends denied navigations to where they can sign in", async (t) => {
  const redirectUrl = "https://app.example/login?box={sandbox_id}&to={return}";
  const preview = await startPrivatePreview(t, { settings: { redirectUrl } });
  const answer = await preview.ask(navigation, "GET /a?b=$&&preview_token=x&c=%20 HTTP/1.1");
  t.equal(statusOf(answer), 302);
  const back = encodeURIComponent(`http://${preview.host}/a?b=$&&c=%20`);
  t.equal(headerOf(answer, "location"), `https://app.example/login?box=${preview.id}&to=${back}`);
  t.equal(headerOf(answer, "x-sandbox-gateway"), "unauthorized");
  t.equal(statusOf(await preview.ask()), 401, "anything else");
  await settle(preview, () => preview.control.setAccess({ denyMode: "meta-refresh" }));
  const page = await preview.ask(navigation);
  t.equal(statusOf(page), 401);
  t.match(page, /<meta http-equiv="refresh" content="0;url=https:\/\/app\.example\/login\?box=/);
  await settle(preview, () => preview.control.setAccess({ redirectUrl: null }));
  const plain = await preview.ask(navigation);
  t.equal(statusOf(plain), 401);
  t.notMatch(plain, /http-equiv="refresh"/);
});

t.test("access() answers denied upgrades with a problem document", async (t) => {
  const preview = await startPrivatePreview(t, { settings: { redirectUrl: "https://app.example/" } });
  const upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-Fetch-Mode: websocket\r\n";
  const answer = await preview.ask(upgrade);
  t.equal(statusOf(answer), 401);
  t.equal(headerOf(answer, "content-type"), "application/problem+json");
});

t.test("access() takes the token out of a public preview's URL, and asks for none", async (t) => {
  const preview = await startPrivatePreview(t, { route: { visibility: "public" } });
  const answer = await preview.ask(navigation, "GET /a?preview_token=x&b HTTP/1.1");
  t.match([statusOf(answer), headerOf(answer, "location")], [303, "/a?b"]);
  t.equal(headerOf(answer, "set-cookie"), undefined);
  t.equal(statusOf(await preview.ask("", "GET /a?preview_token=x&b HTTP/1.1")), 200);
  t.match(preview.heads.at(-1)!, /^GET \/a\?b HTTP/);
});

t.test("access() is told to control: what was refused, alike ones together", async (t) => {
  const preview = await startPrivatePreview(t);
  for (let count = 0; count < 3; count++) await preview.ask(header("rubbish"));
  const total = () => preview.control.refusals.reduce((sum, { count }) => sum + count, 0);
  while (total() < 3) await new Promise<void>((resolve) => preview.control.called.once("refusals", resolve));
  t.match(preview.control.refusals[0], { id: preview.id, reason: "malformed", place: "header", class: "api" });
});

t.test("access() serves a private preview whose session is known without control", async (t) => {
  const preview = await startPrivatePreview(t);
  const good = header(token(claimsFor(preview.id)));
  await preview.control.stop();
  t.equal(statusOf(await preview.ask(good)), 200);
});

t.test("the state of a private preview needs its credential", async (t) => {
  const preview = await startPrivatePreview(t);
  const line = "GET /.well-known/sandboxd/state HTTP/1.1";
  t.equal(statusOf(await preview.ask("", line)), 401);
  t.equal(statusOf(await preview.ask(header(token(claimsFor(preview.id))), line)), 200);
});

t.test("a sandbox that changes hands shuts out its former owner", async (t) => {
  const preview = await startPrivatePreview(t, { route: { owner: "ada" } });
  const good = header(token(claimsFor(preview.id)));
  t.equal(statusOf(await preview.ask(good)), 200);
  await addRoute(preview, { ...preview.route, owner: "bob" });
  t.equal(reasonOf(await preview.ask(good)), "wrong_user");
});
