import { writeFileSync } from "node:fs";
import { join } from "node:path";
import t, { type Test } from "tap";
import { appBody, newDirectory, startControl } from "../../testing/control.ts";
import { claimsFor, hmacToken, newPair, nowSeconds, pairToken } from "../../testing/tokens.ts";

const variables = {
  PREVIEW_DOMAIN: "example.com",
  PREVIEW_SCHEME: "https",
  SANDBOXD_PREVIEW_TOKEN_SECRETS: "main=integrator-secret",
};
const edge = { host: "api.preview.example.com", "x-forwarded-for": "203.0.113.7" };
const sign = (id: string, more: object = {}) => hmacToken("main", "integrator-secret", claimsFor(id, more));

async function withSandbox(t: Test, more: Record<string, string> = {}, body: object = {}) {
  const control = await startControl(t, { ...variables, ...more });
  const made = { ...appBody, visibility: "private", ...body };
  const { id } = (await control.call("POST", "/v1/sandboxes", { body: made })).body;
  const host = `s-${id.toLowerCase()}-3000.preview.example.com`;
  const land = (query: Record<string, string>) =>
    control.callSocket("GET", `/preview-auth?${new URLSearchParams(query)}`, { headers: edge });
  const ask = (headers: Record<string, string> = {}) =>
    control.call("GET", "/forward-auth", { headers: { ...edge, "x-forwarded-host": host, ...headers } });
  return { control, id: id as string, host, land, ask };
}

t.test("/preview-auth sends a visitor with a good token on to the preview", async (t) => {
  const { id, host, land, control } = await withSandbox(t);
  const token = sign(id);
  const there = await land({ token, return: `https://${host}/a?b=c&preview_token=old#d` });
  t.equal(there.status, 303);
  t.equal(there.headers.location, `https://${host}/a?b=c&preview_token=${token}#d`);
  t.match(there.headers, { "cache-control": "no-store", "referrer-policy": "no-referrer" });
  t.equal(there.headers["set-cookie"], undefined, "the preview host opens the session");
  t.equal((await land({ token })).headers.location, `https://${host}/?preview_token=${token}`);
  const { url } = (await control.call("POST", `/v1/sandboxes/${id}/shares`, { body: { max_uses: 1 } })).body;
  const share = new URL(url).searchParams.get("preview_token")!;
  t.equal((await land({ token: share, return: `https://${host}/` })).status, 303);
  t.match((await control.call("GET", `/v1/sandboxes/${id}/shares`)).body, { items: [{ uses: 0 }] }, "nothing is spent");
});

t.test("/preview-auth leads nowhere but to a preview of the token's own sandbox", async (t) => {
  const { id, host, land, control } = await withSandbox(t);
  const other = (await control.call("POST", "/v1/sandboxes", { body: appBody })).body.id.toLowerCase();
  const token = sign(id);
  const refused = [
    `https://s-${other}-3000.preview.example.com/`,
    `https://${host.replace("-3000", "-4000")}/`,
    "https://s-01jb2q8z6x3v9k4m7n0p5r1s2t-3000.preview.example.com/",
    "https://api.preview.example.com/",
    "https://evil.example/",
    `//${host}/`,
    `http://${host}/`,
    `https://${host}.evil.example/`,
    `https://${host}@evil.example/`,
    `https://evil.example\\@${host}/`,
    "javascript:alert(1)",
    "/",
    "",
  ];
  for (const text of refused) {
    const answer = await land({ token, return: text });
    t.match(answer.status, /^40[01]$/, text);
    t.equal(answer.headers.location, undefined, text);
  }
  for (const bad of [
    "x",
    sign(id, { exp: nowSeconds() - 1 }),
    sign(id, { aud: "x" }),
    hmacToken("main", "x", claimsFor(id)),
  ]) {
    t.match(await land({ token: bad, return: `https://${host}/` }), { status: 401, text: '{"error":"unauthorized"}' });
  }
});

t.test("/forward-auth lets good credentials pass with their identity, and says no to the rest", async (t) => {
  const { id, ask } = await withSandbox(t);
  const good = sign(id);
  const each: readonly Record<string, string>[] = [
    { "x-preview-token": good },
    { authorization: `Bearer ${good}` },
    { "x-forwarded-uri": `/a?preview_token=${good}` },
  ];
  for (const headers of each) {
    const answer = await ask(headers);
    t.match(answer, { status: 200, headers: { "x-sandbox-external-user-id": "ada" } }, Object.keys(headers).join());
  }
  const denied = await ask();
  t.equal(denied.status, 401);
  t.match(denied.headers["content-type"], "application/problem+json");
  t.match(JSON.parse(denied.text), { code: "unauthorized", reason: "no_token" });
  t.match(JSON.parse((await ask({ "x-preview-token": sign(id, { port: 4000 }) })).text), { reason: "wrong_port" });
});

t.test("/forward-auth redeems a navigation's token for a session on the preview's own host", async (t) => {
  const { id, host, ask } = await withSandbox(t);
  const browser = { accept: "text/html", "sec-fetch-mode": "navigate", "x-forwarded-proto": "https" };
  const answer = await ask({ ...browser, "x-forwarded-uri": `/a?x=1&preview_token=${sign(id)}` });
  t.match(answer, { status: 303, headers: { location: `https://${host}/a?x=1`, "referrer-policy": "no-referrer" } });
  const cookie = String(answer.headers["set-cookie"]);
  t.match(cookie, /^__Host-sandboxd-session=.*; HttpOnly; Secure; SameSite=None; Partitioned$/);
  t.equal((await ask({ ...browser, cookie: `a=b; ${cookie.split(";", 1)[0]}` })).status, 200);
});

t.test("/forward-auth sends denied navigations to the operator's page, with a way back to ours alone", async (t) => {
  const { id, host, ask } = await withSandbox(t, {
    SANDBOXD_AUTH_REDIRECT_URL: "https://app.example/login?box={sandbox_id}&to={return}",
  });
  const browser = { accept: "text/html", "sec-fetch-mode": "navigate", "x-forwarded-proto": "https" };
  const answer = await ask({ ...browser, "x-forwarded-uri": "/a?b" });
  t.equal(answer.status, 302);
  t.equal(
    answer.headers.location,
    `https://app.example/login?box=${id}&to=${encodeURIComponent(`https://${host}/a?b`)}`,
  );
  const elsewhere = await ask({ ...browser, "x-forwarded-host": "evil.example" });
  t.equal(elsewhere.headers.location, "https://app.example/login?box=&to=");
  t.equal((await ask()).status, 401, "anything but a navigation");
});

t.test("/forward-auth shows a page that goes on by itself when it is told to", async (t) => {
  const { ask } = await withSandbox(t, {
    SANDBOXD_AUTH_REDIRECT_URL: "https://app.example/?a=1&to={return}",
    SANDBOXD_FORWARD_AUTH_DENY_MODE: "meta-refresh",
  });
  const answer = await ask({ accept: "text/html", "x-forwarded-proto": "https" });
  t.equal(answer.status, 401);
  t.match(answer.text, /<meta http-equiv="refresh" content="0;url=https:\/\/app\.example\/\?a=1&amp;to=/);
});

t.test("/forward-auth says the same of private and of unknown sandboxes", async (t) => {
  const { control, ask } = await withSandbox(t);
  const unknown = await ask({ "x-forwarded-host": "s-01jb2q8z6x3v9k4m7n0p5r1s2t-3000.preview.example.com" });
  const known = await ask();
  t.same([unknown.status, unknown.text], [known.status, known.text]);
  t.same(Object.keys(unknown.headers).sort(), Object.keys(known.headers).sort());
  await control.call("POST", "/v1/sandboxes", { body: appBody });
  for (const host of ["", "evil.example", "api.preview.example.com"])
    t.equal((await ask({ "x-forwarded-host": host })).status, 401);
});

t.test("/forward-auth lets everybody into public previews", async (t) => {
  const { ask } = await withSandbox(t, {}, { visibility: "public" });
  const answer = await ask({ "x-preview-token": "rubbish" });
  t.equal(answer.status, 200);
  t.equal(answer.headers["x-sandbox-external-user-id"], undefined);
});

t.test("/forward-auth heeds the recorded owner, revocations and keys of a file", async (t) => {
  const pair = newPair("file-key");
  const file = join(newDirectory(t), "keys.json");
  writeFileSync(file, JSON.stringify({ keys: [pair.jwk] }));
  const { control, id, ask } = await withSandbox(
    t,
    { SANDBOXD_PREVIEW_JWKS_FILE: file },
    { external: { user_id: "ada" } },
  );
  t.equal((await ask({ "x-preview-token": pairToken(pair, claimsFor(id)) })).status, 200);
  const bob = await ask({ "x-preview-token": pairToken(pair, claimsFor(id, { sub: "bob" })) });
  t.match(JSON.parse(bob.text), { reason: "wrong_user" });
  const token = pairToken(pair, claimsFor(id, { jti: "j1" }));
  t.equal((await ask({ "x-preview-token": token })).status, 200);
  const made = await control.call("POST", "/v1/revocations", { body: { jti: "j1" } });
  t.match(made, { status: 201, body: { kind: "jti", jti: "j1" } });
  t.match(JSON.parse((await ask({ "x-preview-token": token })).text), { reason: "revoked" });
  t.equal((await control.call("DELETE", `/v1/revocations/${made.body.id}`)).status, 204);
  t.equal((await ask({ "x-preview-token": token })).status, 200);
  for (const body of [{}, { jti: "a", kid: "b" }, { sandbox_id: "x" }, { jti: "a", sandbox_id: id }]) {
    t.equal((await control.call("POST", "/v1/revocations", { body })).status, 400, JSON.stringify(body));
  }
});
