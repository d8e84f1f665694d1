import { writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { appBody, newDirectory } from "../../testing/control.ts";
import { sign, startPrivateSandbox } from "../../testing/private-sandbox.ts";
import { claimsFor, newPair, pairToken } from "../../testing/tokens.ts";

t.test("/forward-auth lets good credentials pass with their identity, and says no to the rest", async (t) => {
  const { id, ask } = await startPrivateSandbox(t);
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
  const { id, host, ask } = await startPrivateSandbox(t);
  const browser = { accept: "text/html", "sec-fetch-mode": "navigate", "x-forwarded-proto": "https" };
  const answer = await ask({ ...browser, "x-forwarded-uri": `/a?x=1&preview_token=${sign(id)}` });
  t.match(answer, { status: 303, headers: { location: `https://${host}/a?x=1`, "referrer-policy": "no-referrer" } });
  const cookie = String(answer.headers["set-cookie"]);
  t.match(cookie, /^__Host-sandboxd-session=.*; HttpOnly; Secure; SameSite=None; Partitioned$/);
  t.equal((await ask({ ...browser, cookie: `a=b; ${cookie.split(";", 1)[0]}` })).status, 200);
});

t.test("/forward-auth sends denied navigations to the operator's page, with a way back to ours alone", async (t) => {
  const { id, host, ask } = await startPrivateSandbox(t, {
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
  const { ask } = await startPrivateSandbox(t, {
    SANDBOXD_AUTH_REDIRECT_URL: "https://app.example/?a=1&to={return}",
    SANDBOXD_FORWARD_AUTH_DENY_MODE: "meta-refresh",
  });
  const answer = await ask({ accept: "text/html", "x-forwarded-proto": "https" });
  t.equal(answer.status, 401);
  t.match(answer.text, /<meta http-equiv="refresh" content="0;url=https:\/\/app\.example\/\?a=1&amp;to=/);
});

t.test("/forward-auth says the same of private and of unknown sandboxes", async (t) => {
  const { control, ask } = await startPrivateSandbox(t);
  const unknown = await ask({ "x-forwarded-host": "s-01jb2q8z6x3v9k4m7n0p5r1s2t-3000.preview.example.com" });
  const known = await ask();
  t.same([unknown.status, unknown.text], [known.status, known.text]);
  t.same(Object.keys(unknown.headers).sort(), Object.keys(known.headers).sort());
  await control.call("POST", "/v1/sandboxes", { body: appBody });
  for (const host of ["", "evil.example", "api.preview.example.com"])
    t.equal((await ask({ "x-forwarded-host": host })).status, 401);
});

t.test("/forward-auth lets everybody into public previews", async (t) => {
  const { ask } = await startPrivateSandbox(t, {}, { visibility: "public" });
  const answer = await ask({ "x-preview-token": "rubbish" });
  t.equal(answer.status, 200);
  t.equal(answer.headers["x-sandbox-external-user-id"], undefined);
});

t.test("/forward-auth heeds the recorded owner, revocations and keys of a file", async (t) => {
  const pair = newPair("file-key");
  const file = join(newDirectory(t), "keys.json");
  writeFileSync(file, JSON.stringify({ keys: [pair.jwk] }));
  const { control, id, ask } = await startPrivateSandbox(
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
  const heldDays = (Date.parse(made.body.until) - Date.now()) / (24 * 3600 * 1000);
  t.ok(heldDays > 366, "a token may be good for 31 days only later on");
  t.match(JSON.parse((await ask({ "x-preview-token": token })).text), { reason: "revoked" });
  t.equal((await control.call("DELETE", `/v1/revocations/${made.body.id}`)).status, 204);
  t.equal((await ask({ "x-preview-token": token })).status, 200);
  for (const body of [{}, { jti: "a", kid: "b" }, { sandbox_id: "x" }, { jti: "a", sandbox_id: id }]) {
    t.equal((await control.call("POST", "/v1/revocations", { body })).status, 400, JSON.stringify(body));
  }
});

const navigation = { accept: "text/html", "sec-fetch-mode": "navigate", "x-forwarded-proto": "https" };
const form = { "x-forwarded-method": "POST", "content-type": "application/x-www-form-urlencoded" };

t.test("/forward-auth shows a button for a link of limited use, and opens it for whoever presses that", async (t) => {
  const { host, ask, share, uses } = await startPrivateSandbox(t);
  const link = { "x-forwarded-uri": `/a?preview_token=${await share({ max_uses: 1 })}&b` };
  const page = await ask({ ...navigation, ...link });
  t.match(page, { status: 401, headers: { "referrer-policy": "no-referrer", "cache-control": "no-store" } });
  t.match(page.text, '<form method="post"><button>');
  t.equal(page.headers["set-cookie"], undefined);
  const others: readonly Readonly<Record<string, string>>[] = [
    { "sec-fetch-site": "cross-site" },
    { "sec-fetch-site": "same-site" },
    { origin: "https://x.example" },
  ];
  for (const elsewhere of others) {
    const answer = await ask({ ...navigation, ...form, ...link, ...elsewhere });
    t.match(answer, { status: 401, headers: { "set-cookie": undefined } }, "a button on another page is none");
  }
  t.equal(await uses(), 0);
  const pressed = await ask({ ...navigation, ...form, ...link, "sec-fetch-site": "same-origin", origin: "null" });
  t.match(pressed, { status: 303, headers: { location: `https://${host}/a?b`, "referrer-policy": "no-referrer" } });
  t.equal(await uses(), 1);
  const cookie = String(pressed.headers["set-cookie"]).split(";", 1)[0]!;
  t.equal((await ask({ ...navigation, cookie })).status, 200);
  t.match(JSON.parse((await ask({ ...form, ...link })).text), { reason: "expired" }, "it is used up");
});

t.test("/forward-auth serves a program by a link, and counts that", async (t) => {
  const { ask, share, uses } = await startPrivateSandbox(t);
  const link = { "x-forwarded-uri": `/a?preview_token=${await share({ max_uses: 2 })}` };
  t.match(await ask(link), { status: 200, headers: { "set-cookie": undefined } });
  t.match(await ask({ ...link, "x-forwarded-method": "PUT" }), { status: 200 });
  t.equal(await uses(), 2);
  t.match(JSON.parse((await ask(link)).text), { reason: "expired" });
});

t.test("/forward-auth opens and spends nothing for what merely looks at a link", async (t) => {
  const { id, ask, share, uses } = await startPrivateSandbox(t);
  const lookers: readonly Readonly<Record<string, string>>[] = [
    { "user-agent": "Slackbot-LinkExpanding 1.0" },
    { ...navigation, "user-agent": "Mozilla/5.0 (compatible; Googlebot/2.1)" },
    { ...navigation, "user-agent": "facebookexternalhit/1.1" },
    { ...navigation, "sec-purpose": "prefetch" },
    { ...navigation, "sec-purpose": "prefetch;prerender" },
    { ...navigation, "x-forwarded-method": "HEAD" },
    { "x-forwarded-method": "HEAD" },
  ];
  for (const token of [await share(), sign(id)]) {
    for (const headers of lookers) {
      const answer = await ask({ ...headers, "x-forwarded-uri": `/?preview_token=${token}` });
      t.match(answer, { status: 401, headers: { "set-cookie": undefined } }, JSON.stringify(headers));
    }
  }
  t.equal(await uses(), 0);
});

t.test("/forward-auth lets a session count for the sandbox's own pages alone", async (t) => {
  const { id, host, ask } = await startPrivateSandbox(t, {}, { cors: { origins: ["https://builder.example"] } });
  const opened = await ask({ ...navigation, "x-forwarded-uri": `/?preview_token=${sign(id)}` });
  const cookie = String(opened.headers["set-cookie"]).split(";", 1)[0]!;
  for (const origin of [`https://${host}`, "https://builder.example"])
    t.equal((await ask({ cookie, origin })).status, 200);
  const sibling = `https://${host.replace(/s-.{26}/, "s-01jb2q8z6x3v9k4m7n0p5r1s2t")}`;
  const foreign: readonly Readonly<Record<string, string>>[] = [
    { origin: sibling },
    { origin: "null" },
    { "sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors" },
  ];
  for (const said of foreign) {
    t.match(JSON.parse((await ask({ cookie, ...said })).text), { reason: "no_token" });
  }
});

t.test("/forward-auth records whom it turned away and why, as gateways do", async (t) => {
  const { id, ask, control } = await startPrivateSandbox(t);
  await ask({ "x-preview-token": sign(id, { port: 4000 }), "x-forwarded-for": "198.51.100.7" });
  const { items } = (await control.call("GET", "/v1/audit?outcome=refused")).body;
  t.match(items, [
    {
      ...{ action: "preview.open", target: id, ip: "198.51.100.7", actor: { kind: "visitor" } },
      detail: { reason: "wrong_port", credential: "header", class: "api", count: 1 },
    },
  ]);
  t.equal(items.length, 1);
  const { recent } = (await control.call("GET", `/v1/sandboxes/${id}/explain`)).body;
  t.match(recent[0], { kind: "refuse", cause: "access", credential: "header", outcome: "wrong_port" });
});
