import t from "tap";
import type { ShareOutcome } from "#contract/access.ts";
import { mintShareToken } from "#contract/share-token.ts";
import { headerOf, navigation, reasonOf, settle, startPrivatePreview, statusOf } from "../hazards/private-preview.ts";
import { claimsFor, publicKey, token, tokenBy } from "../hazards/test-tokens.ts";

const id = "01JB2Q8Z6X3V9K4M7N0P5R1S2T";
const form = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 0\r\n";

async function startShared(t: Parameters<typeof startPrivatePreview>[0], more: Partial<ShareOutcome> = {}) {
  const preview = await startPrivatePreview(t);
  const times = { expiresAt: Date.now() + 60_000, issuedAt: Date.now() };
  preview.control.share = () =>
    ({ outcome: "granted", share: id, port: null, limited: false, ...times, ...more }) as ShareOutcome;
  const text = mintShareToken(id, preview.control.access.settings.sessionKey);
  const spent = () => preview.control.shareRequests.filter(({ spend }) => spend).length;
  return { ...preview, text, spent, line: (method = "GET") => `${method} /a?preview_token=${text}&b HTTP/1.1` };
}

t.test("a share link opens a session at a navigation and counts as used once", async (t) => {
  const { ask, line, spent } = await startShared(t);
  const answer = await ask(navigation, line());
  t.match([statusOf(answer), headerOf(answer, "location")], [303, "/a?b"]);
  t.match(headerOf(answer, "set-cookie"), /^sandboxd-session=.*; Max-Age=(?:5[0-9]|60);/);
  t.equal(spent(), 1);
  const session = `Cookie: ${headerOf(answer, "set-cookie")!.split(";", 1)[0]}\r\n`;
  t.equal(statusOf(await ask(session)), 200);
  t.equal(spent(), 1, "the session costs nothing");
});

t.test("a share of limited use shows a page first, and its button opens it", async (t) => {
  const { ask, line, spent, heads } = await startShared(t, { limited: true });
  const page = await ask(navigation, line());
  t.equal(statusOf(page), 200);
  t.equal(headerOf(page, "x-sandbox-gateway"), "redeem");
  t.equal(headerOf(page, "referrer-policy"), "no-referrer");
  t.equal(headerOf(page, "set-cookie"), undefined);
  t.equal(spent(), 0);
  const [, action = ""] = /<form method="post" action="([^"]+)"/.exec(page)!;
  const pressed = await ask(`${navigation}${form}`, `POST ${action.replaceAll("&amp;", "&")} HTTP/1.1`);
  t.match([statusOf(pressed), headerOf(pressed, "location")], [303, "/a?b"]);
  t.ok(headerOf(pressed, "set-cookie"));
  t.equal(spent(), 1);
  t.equal(heads.length, 0);
});

t.test("the button works on its own page alone", async (t) => {
  const { ask, line, spent } = await startShared(t, { limited: true });
  const elsewhere = [
    "Sec-Fetch-Site: cross-site\r\n",
    "Sec-Fetch-Site: same-site\r\nOrigin: https://sibling.example\r\n",
    "Sec-Fetch-Site: none\r\n",
    "Origin: https://evil.example\r\n",
  ];
  for (const said of elsewhere) {
    const answer = await ask(`${navigation}${form}${said}`, line("POST"));
    t.match([statusOf(answer), headerOf(answer, "x-sandbox-gateway")], [200, "redeem"], said);
    t.equal(headerOf(answer, "set-cookie"), undefined);
  }
  t.equal(spent(), 0);
  const own = `${navigation}${form}Sec-Fetch-Site: same-origin\r\nOrigin: null\r\n`;
  t.equal(statusOf(await ask(own, line("POST"))), 303);
  t.equal(spent(), 1);
});

t.test("a share link of a program's is served once for each use, without a session", async (t) => {
  const { ask, line, spent, heads } = await startShared(t, { limited: true });
  const answer = await ask("", line());
  t.equal(statusOf(answer), 200);
  t.equal(headerOf(answer, "set-cookie"), undefined);
  t.match(heads.at(-1), /^GET \/a\?b HTTP/);
  t.equal(spent(), 1);
  const body = "Content-Type: application/json\r\nContent-Length: 2\r\n";
  t.equal(statusOf(await ask(body, line("POST"), "{}")), 200);
  t.match(heads.at(-1), /^POST \/a\?b HTTP/);
  t.equal(spent(), 2);
});

t.test("a share that is used up between the look and the use opens nothing", async (t) => {
  const shared = await startShared(t);
  const granted = shared.control.share;
  shared.control.share = (request) => (request.spend ? { outcome: "refused", reason: "expired" } : granted(request));
  const answer = await shared.ask("", shared.line());
  t.equal(reasonOf(answer), "expired");
  t.equal(shared.heads.length, 0);
});

t.test("a share is refused for its own reason, and not at all while control is away", async (t) => {
  const shared = await startShared(t);
  for (const reason of ["revoked", "expired", "wrong_sandbox", "wrong_port"] as const) {
    shared.control.share = () => ({ outcome: "refused", reason });
    t.equal(reasonOf(await shared.ask("", shared.line())), reason);
  }
  await shared.control.stop();
  t.match(await shared.ask("", shared.line()), /"code":"control_unavailable"/);
});

t.test("a token's button page, which scanners get, opens the session as well", async (t) => {
  const preview = await startPrivatePreview(t);
  const line = `POST /a?preview_token=${token(claimsFor(preview.id))} HTTP/1.1`;
  t.equal(statusOf(await preview.ask(`${navigation}${form}`, line)), 303);
  t.equal(statusOf(await preview.ask("Content-Length: 0\r\n", line)), 200, "a program's POST is the app's");
});

t.test("an unknown key is looked for once, however many tokens name one", async (t) => {
  const preview = await startPrivatePreview(t, { settings: { keys: [], keysMayGrow: true } });
  const ask = (kid: string) => preview.ask(`X-Preview-Token: ${tokenBy("ES256", claimsFor(preview.id), { kid })}\r\n`);
  const looked = () => preview.control.calls.filter((call) => call === "keys").length;
  const { access } = preview.control;
  const grown = { ...access, settings: { ...access.settings, keys: [publicKey("ES256")] } };
  preview.control.findKeys = () => ({ access: grown, retryAfterMs: 60_000 });
  t.equal(statusOf(await ask("ES256-key")), 200, "the request itself waits for the new key");
  t.equal(looked(), 1);
  for (let index = 0; index < 20; index++) t.equal(statusOf(await ask(`unknown-${index}`)), 401);
  t.equal(looked(), 1);
  await settle(preview, () => {});
});
