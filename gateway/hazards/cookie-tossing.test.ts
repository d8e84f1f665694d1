import t from "tap";
import { headerOf, navigation, type PrivatePreview, startPrivatePreview, statusOf } from "./private-preview.ts";
import { addRoute, domain, exchangeBytes, newId, routeTo } from "./test-gateway.ts";
import { claimsFor, token } from "./test-tokens.ts";

async function openSession({ ask, id }: PrivatePreview): Promise<string> {
  const answer = await ask(navigation, `GET /?preview_token=${token(claimsFor(id))} HTTP/1.1`);
  return headerOf(answer, "set-cookie")!.split(";", 1)[0]!;
}

t.test("a session cookie that a sibling planted shuts nobody out and lets nobody in", async (t) => {
  const preview = await startPrivatePreview(t);
  const session = await openSession(preview);
  const planted = ["sandboxd-session=planted", "sandboxd-session=", 'sandboxd-session="x"', "sandboxd-session"];
  for (const pair of planted) {
    t.equal(statusOf(await preview.ask(`Cookie: ${pair}; ${session}\r\n`)), 200, pair);
    t.equal(statusOf(await preview.ask(`Cookie: ${session}; ${pair}\r\n`)), 200, pair);
    t.equal(
      statusOf(await preview.ask(`Cookie: ${pair}\r\nCookie: ${session}\r\n`)),
      200,
      `${pair} in a header of its own`,
    );
    t.equal(statusOf(await preview.ask(`Cookie: ${pair}\r\n`)), 401, `${pair} alone`);
  }
  t.notMatch(preview.heads.join(), /sandboxd-session/, "and none of them reaches the app");
});

t.test("the session of one sandbox is none of another's", async (t) => {
  const preview = await startPrivatePreview(t);
  const session = await openSession(preview);
  const other = await addRoute(preview, routeTo(newId(), 1, { visibility: "private" }));
  const answer = await preview.ask(`Cookie: ${session}\r\n`, `GET http://${preview.host}/ HTTP/1.1`);
  t.equal(statusOf(answer), 200);
  const stolen = await exchangeBytes(
    preview.port,
    `GET / HTTP/1.1\r\nHost: ${other}\r\nConnection: close\r\nCookie: ${session}\r\n\r\n`,
  );
  t.match(stolen, /"reason":"wrong_sandbox"/);
});

t.test("every spelling of the session cookie is kept from the app, and no other cookie is", async (t) => {
  const preview = await startPrivatePreview(t);
  const lines = `X-Preview-Token: ${token(claimsFor(preview.id))}\r\n`;
  const ours = ["sandboxd-session=1", "__Host-sandboxd-session=1", "__HOST-sandboxd-session=1", " sandboxd-session =1"];
  for (const pair of ours) {
    await preview.ask(`${lines}Cookie: a=1;${pair};b=2\r\n`);
    t.match(preview.heads.at(-1)!, /\r\nCookie: a=1;b=2\r\n/, pair);
  }
  await preview.ask(`${lines}Cookie: sandboxd-session=1\r\n`);
  t.notMatch(preview.heads.at(-1)!, /cookie/i, "a header with nothing else in it goes whole");
  const theirs = 'x-sandboxd-session=1; sandboxd-session-2=1; a="sandboxd-session=1"; =odd';
  await preview.ask(`${lines}Cookie: ${theirs}\r\n`);
  t.ok(preview.heads.at(-1)!.includes(`\r\nCookie: ${theirs}\r\n`), "byte for byte");
});

t.test("an app cannot set, clear or shadow the session cookie", async (t) => {
  const cookies = [
    "sandboxd-session=x; Path=/",
    "__Host-sandboxd-session=x; Secure; Path=/",
    "__host-SANDBOXD-session=; Max-Age=0",
    " sandboxd-session = x",
    "=sandboxd-session=x",
    "= __Host-sandboxd-session=x",
    "sandboxd-session",
  ];
  const lines = cookies.map((cookie) => `Set-Cookie: ${cookie}\r\n`).join("");
  const answer = `HTTP/1.1 200 OK\r\n${lines}Set-Cookie: mine=1\r\nClear-Site-Data: "cookies", "cache"\r\nContent-Length: 2\r\n\r\nok`;
  const preview = await startPrivatePreview(t, { answer });
  const seen = await preview.ask(`X-Preview-Token: ${token(claimsFor(preview.id))}\r\n`);
  t.same(seen.match(/^set-cookie: .*/gim), ["Set-Cookie: mine=1"]);
  t.equal(headerOf(seen, "clear-site-data"), '"cache"', "clearing cookies would reach its siblings");
});

t.test("an app plants no cookie beyond its own host, nor a worker beyond its path", async (t) => {
  const preview = await startPrivatePreview(t, {
    answer:
      "HTTP/1.1 200 OK\r\nSet-Cookie: a=1; Domain=.preview.test.example; Path=/\r\nSet-Cookie: b=2; domain = test.example\r\n" +
      "Service-Worker-Allowed: /\r\nContent-Length: 2\r\n\r\nok",
  });
  const seen = await preview.ask(`X-Preview-Token: ${token(claimsFor(preview.id))}\r\n`);
  t.same(seen.match(/^set-cookie: .*/gim), ["Set-Cookie: a=1; Path=/", "Set-Cookie: b=2"]);
  t.equal(headerOf(seen, "service-worker-allowed"), undefined);
});

t.test("the API host hears of no cookie but ours, however many a page has planted", async (t) => {
  const preview = await startPrivatePreview(t);
  const heard = Promise.withResolvers<string | undefined>();
  preview.control.api = (request, response) => {
    heard.resolve(request.headers.cookie);
    response.end("api");
  };
  const bomb = Array.from({ length: 60 }, (_, index) => `bomb${index}=${"x".repeat(4000)}`).join("; ");
  const lines = `Host: api.preview.${domain}\r\nConnection: close\r\nCookie: ${bomb}; sandboxd-session=s\r\n`;
  t.equal(statusOf(await exchangeBytes(preview.port, `GET /forward-auth HTTP/1.1\r\n${lines}\r\n`)), 200);
  t.equal(await heard.promise, "sandboxd-session=s");
});
