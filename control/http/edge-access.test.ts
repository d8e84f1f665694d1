import t from "tap";
import { includes, scopeOf } from "../access/api-token.ts";
import { CallRate } from "../access/call-rate.ts";
import { Guesses } from "../access/guesses.ts";
import { appBody, startControl } from "../testing/control.ts";

const edge = { host: "api.preview.localhost", "x-real-ip": "203.0.113.7" };
const as = (secret: string) => ({ headers: { ...edge, authorization: `Bearer ${secret}` } });

t.test("a token does what its scope says", async (t) => {
  const control = await startControl(t, { SANDBOXD_API_TOKENS: "r:rrr:read,s:sss:sandboxes,a:aaa:admin,u:uuu" });
  const status = async (secret: string, method: string, path: string, body?: object) =>
    (await control.callSocket(method, path, { ...as(secret), body })).status;
  for (const secret of ["rrr", "sss", "aaa", "uuu"]) t.equal(await status(secret, "GET", "/v1/sandboxes"), 200, secret);
  t.equal(await status("rrr", "POST", "/v1/sandboxes", appBody), 403);
  t.equal(await status("rrr", "POST", "/sandbox", appBody), 403);
  t.equal(await status("rrr", "POST", "/wake/01JB2Q8Z6X3V9K4M7N0P5R1S2T"), 403);
  t.equal(await status("sss", "POST", "/wake/01JB2Q8Z6X3V9K4M7N0P5R1S2T"), 404);
  t.equal(await status("sss", "POST", "/v1/sandboxes", appBody), 201);
  for (const path of ["/v1/audit", "/v1/revocations"]) {
    t.same([await status("rrr", "GET", path), await status("sss", "GET", path)], [403, 403], path);
    t.same([await status("aaa", "GET", path), await status("uuu", "GET", path)], [200, 200], path);
  }
  const refused = await control.callSocket("GET", "/v1/audit", as("rrr"));
  t.match(refused.body, { error: { code: "forbidden", message: /admin/ } });
});

t.test("scopeOf() takes reading by method and the rest by route", async (t) => {
  t.equal(scopeOf("GET", "/v1/sandboxes/:id/logs"), "read");
  t.equal(scopeOf("GET", "/v1/sandboxes/:id/terminal"), "sandboxes");
  t.equal(scopeOf("POST", "/v1/sandboxes/:id/exec"), "sandboxes");
  t.equal(scopeOf("POST", "/v1/external-users/:id/purge"), "admin");
  t.ok(includes("admin", "read") && includes("sandboxes", "read") && !includes("read", "sandboxes"));
});

t.test("each token has its own rate, and is told when to come back", async (t) => {
  const control = await startControl(t, { SANDBOXD_API_TOKENS: "a:aaa,b:bbb", SANDBOXD_API_CALLS_PER_SECOND: "1" });
  const statuses: number[] = [];
  for (let index = 0; index < 8; index++)
    statuses.push((await control.callSocket("GET", "/v1/sandboxes", as("aaa"))).status);
  t.same(statuses.slice(0, 2), [200, 200]);
  const refused = await control.callSocket("GET", "/v1/sandboxes", as("aaa"));
  t.match(refused, { status: 429, headers: { "retry-after": "1" }, body: { error: { code: "too_many_requests" } } });
  t.equal((await control.callSocket("GET", "/v1/sandboxes", as("bbb"))).status, 200);
});

t.test("CallRate fills up again", async (t) => {
  const clock = { now: 0 };
  const rate = new CallRate(2, () => clock.now);
  t.same(
    [1, 2, 3, 4, 5].map(() => rate.take("a")),
    [0, 0, 0, 0, 1],
  );
  clock.now = 500;
  t.same([rate.take("a"), rate.take("a")], [0, 1]);
  t.equal(new CallRate(0, () => 0).take("a"), 0);
});

t.test("Guesses are answered later and later, forgiven, and never at others' cost", async (t) => {
  const clock = { now: 0 };
  const pauses: number[] = [];
  const guesses = new Guesses(
    () => clock.now,
    async (milliseconds) => void pauses.push(milliseconds),
  );
  for (let index = 0; index < 14; index++) t.equal(await guesses.wrong("a"), true);
  t.same(pauses, [100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
  await guesses.wrong("b");
  t.equal(pauses.length, 9);
  clock.now = 61_000;
  await guesses.wrong("a");
  t.equal(pauses.length, 9);
});

t.test("Guesses and the audit log take the addresses of one IPv6 subscriber for one", async (t) => {
  const pauses: number[] = [];
  const guesses = new Guesses(
    () => 0,
    async (milliseconds) => void pauses.push(milliseconds),
  );
  for (let index = 0; index < 6; index++) await guesses.wrong(`2001:db8:1:2::${index}`);
  t.same(pauses, [100]);
  const control = await startControl(t, { SANDBOXD_API_TOKENS: "a:aaa" });
  for (let index = 0; index < 40; index++) {
    await control.callSocket("GET", "/v1/sandboxes", { headers: { ...edge, "x-real-ip": `2001:db8:1:2::${index}` } });
  }
  t.equal((await control.call("GET", "/v1/audit")).body.items.length, 30);
});

t.test("Guesses keeps only so many of one address waiting", async (t) => {
  const guesses = new Guesses(
    () => 0,
    () => new Promise(() => {}),
  );
  for (let index = 0; index < 5; index++) await guesses.wrong("a");
  for (let index = 0; index < 16; index++) void guesses.wrong("a");
  t.equal(await guesses.wrong("a"), false);
});

t.test("without authentication a page of another origin drives nothing", async (t) => {
  const control = await startControl(t, { SANDBOXD_API_AUTH_DISABLED: "true" });
  const status = async (headers: object) =>
    (await control.callSocket("POST", "/v1/sandboxes/x/stop", { headers: { host: edge.host, ...headers } })).status;
  t.equal(await status({}), 404);
  t.equal(await status({ origin: `https://${edge.host}` }), 404);
  for (const headers of [
    { origin: "https://s-01jb2q8z6x3v9k4m7n0p5r1s2t-3000.preview.localhost" },
    { origin: "null" },
    { "sec-fetch-site": "same-site" },
    { "sec-fetch-site": "cross-site" },
  ]) {
    t.equal(await status(headers), 403, JSON.stringify(headers));
  }
});
