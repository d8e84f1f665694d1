import t from "tap";
import { appBody } from "../../testing/control.ts";
import { sign, startPrivateSandbox } from "../../testing/private-sandbox.ts";
import { notReturnUrls } from "../../testing/return-urls.ts";
import { claimsFor, hmacToken, nowSeconds } from "../../testing/tokens.ts";

t.test("/preview-auth sends a visitor with a good token on to the preview", async (t) => {
  const { id, host, land, control } = await startPrivateSandbox(t);
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
  const { id, host, land, control } = await startPrivateSandbox(t);
  const other = (await control.call("POST", "/v1/sandboxes", { body: appBody })).body.id.toLowerCase();
  const token = sign(id);
  const refused = [
    `https://s-${other}-3000.preview.example.com/`,
    `https://${host.replace("-3000", "-4000")}/`,
    "https://s-01jb2q8z6x3v9k4m7n0p5r1s2t-3000.preview.example.com/",
    ...notReturnUrls(host),
  ];
  t.ok(refused.length > 40);
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

t.test("/preview-auth says the same of a sandbox that is there and of one that is not", async (t) => {
  const { id, host, land } = await startPrivateSandbox(t);
  const missing = "01JB2Q8Z6X3V9K4M7N0P5R1S2T";
  const back = (which: string) => `https://${host.replace(id.toLowerCase(), which.toLowerCase())}/`;
  const forged = (which: string) => hmacToken("main", "a guess", claimsFor(which));
  const pairs = [
    [{ token: forged(id) }, { token: forged(missing) }],
    [
      { token: forged(id), return: back(id) },
      { token: forged(missing), return: back(missing) },
    ],
    [
      { token: "x", return: back(id) },
      { token: "x", return: back(missing) },
    ],
    [
      { token: sign(missing), return: back(id) },
      { token: sign(missing), return: back(missing) },
    ],
  ];
  for (const [one, other] of pairs) {
    const [there, nowhere] = [await land(one!), await land(other!)];
    t.match(there, { status: 401, text: '{"error":"unauthorized"}' });
    t.same([nowhere.status, nowhere.text], [there.status, there.text]);
    t.same(Object.keys(nowhere.headers).sort(), Object.keys(there.headers).sort());
  }
});

t.test("/preview-auth leads a share that says nowhere to its own sandbox", async (t) => {
  const { host, land, share, uses } = await startPrivateSandbox(t);
  const token = await share({ max_uses: 1 });
  t.match(await land({ token }), { status: 303, headers: { location: `https://${host}/?preview_token=${token}` } });
  t.equal(await uses(), 0);
});

t.test("/preview-auth records whom it turned away and why", async (t) => {
  const { id, host, land, control } = await startPrivateSandbox(t);
  await land({ token: sign(id, { exp: nowSeconds() - 1 }), return: `https://${host}/` });
  const { items } = (await control.call("GET", "/v1/audit?outcome=refused")).body;
  t.match(items, [{ action: "preview.open", target: id, detail: { reason: "expired", credential: "query" } }]);
  t.equal(items.length, 1);
});
