import t from "tap";
import { startPrivatePreview, statusOf } from "./private-preview.ts";
import { claimsFor, token } from "./test-tokens.ts";

const names = [
  "X-Sandbox-External-User-Id",
  "x-sandbox-external-user-id",
  "X_Sandbox_External_User_Id",
  "X-Sandbox_External-User_Id",
  "X_SANDBOX_EXTERNAL_USER_ID",
];

t.test("who the visitor is comes from the token alone, whatever headers say", async (t) => {
  for (const visibility of ["private", "public"] as const) {
    const preview = await startPrivatePreview(t, { route: { visibility } });
    const credential = `X-Preview-Token: ${token(claimsFor(preview.id))}\r\n`;
    for (const name of names) {
      for (const lines of [`${name}: admin\r\n${credential}`, `${credential}${name}: admin\r\n${name}: root\r\n`]) {
        t.equal(statusOf(await preview.ask(lines)), 200, name);
        const seen = preview.heads.at(-1)!.match(/^x[-_]sandbox[-_]external.*$/gim) ?? [];
        t.same(seen, visibility === "private" ? ["X-Sandbox-External-User-Id: ada"] : [], `${visibility} ${name}`);
      }
    }
  }
});

t.test("Connection cannot list the identity away, nor a credential into the app's sight", async (t) => {
  const preview = await startPrivatePreview(t);
  const credential = `X-Preview-Token: ${token(claimsFor(preview.id))}\r\n`;
  const listed = "close, X-Sandbox-External-User-Id, X-Preview-Token, Cookie, Authorization";
  t.equal(statusOf(await preview.ask(`${credential}Connection: ${listed}\r\nCookie: a=1\r\n`)), 200);
  const head = preview.heads.at(-1)!;
  t.match(head, /X-Sandbox-External-User-Id: ada\r\n/);
  t.match(head, /Cookie: a=1\r\n/);
  t.notMatch(head, /x-preview-token/i);
});

t.test("the token header's twins are no credentials, and never reach the app", async (t) => {
  const preview = await startPrivatePreview(t);
  const good = token(claimsFor(preview.id));
  for (const twin of ["X_Preview_Token", "X-Preview_Token"]) {
    t.equal(statusOf(await preview.ask(`${twin}: ${good}\r\n`)), 401, twin);
    await preview.ask(`X-Preview-Token: ${good}\r\n${twin}: ${good}\r\n`);
    t.notMatch(preview.heads.at(-1)!, /preview.token:/i, twin);
  }
});

t.test("a subject is one header's value, byte for byte", async (t) => {
  const preview = await startPrivatePreview(t);
  for (const sub of ["a:b/c", "zoë", "a b", "%0d%0aX-Evil: 1"]) {
    t.equal(statusOf(await preview.ask(`X-Preview-Token: ${token(claimsFor(preview.id, { sub }))}\r\n`)), 200, sub);
    const [, seen = ""] = /X-Sandbox-External-User-Id: (.*)\r\n/.exec(preview.heads.at(-1)!) ?? [];
    t.equal(Buffer.from(seen, "latin1").toString(), sub);
  }
  for (const sub of ["a\r\nX-Evil: 1", "a\0", " a", "a\n", "", "x".repeat(256), "\ud800"]) {
    t.equal(statusOf(await preview.ask(`X-Preview-Token: ${token(claimsFor(preview.id, { sub }))}\r\n`)), 401);
  }
});

t.test("a token in the page that a request came from is kept from the app too", async (t) => {
  const preview = await startPrivatePreview(t);
  const good = token(claimsFor(preview.id));
  await preview.ask(`X-Preview-Token: ${good}\r\nReferer: http://${preview.host}/a?x=1&preview_token=${good}&y=2\r\n`);
  t.ok(preview.heads.at(-1)!.includes(`Referer: http://${preview.host}/a?x=1&y=2\r\n`));
});
