import t from "tap";
import { headerOf, startPrivatePreview, statusOf } from "../hazards/private-preview.ts";
import { claimsFor, token } from "../hazards/test-tokens.ts";

const preflight = (origin: string) =>
  `Origin: ${origin}\r\nAccess-Control-Request-Method: PUT\r\nAccess-Control-Request-Headers: x-a, x-b\r\n`;
const builder = "https://builder.example";
const answer =
  "HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nAccess-Control-Expose-Headers: x-c\r\nContent-Length: 2\r\n\r\nok";

t.test("cors() answers preflights of listed origins without a credential and without a wake", async (t) => {
  const cors = { origins: [builder], credentials: true, maxAgeSeconds: 60 };
  const preview = await startPrivatePreview(t, { route: { cors, status: "stopped", endpoints: [] } });
  const seen = await preview.ask(preflight(builder), "OPTIONS /a HTTP/1.1");
  t.equal(statusOf(seen), 204);
  t.equal(headerOf(seen, "access-control-allow-origin"), builder);
  t.equal(headerOf(seen, "access-control-allow-credentials"), "true");
  t.equal(headerOf(seen, "access-control-allow-methods"), "PUT");
  t.equal(headerOf(seen, "access-control-allow-headers"), "x-a, x-b");
  t.equal(headerOf(seen, "access-control-max-age"), "60");
  t.match(headerOf(seen, "vary"), /^Origin/);
  for (const origin of [
    "https://evil.example",
    "https://builder.example.evil.example",
    "null",
    "http://builder.example",
  ]) {
    const refused = await preview.ask(preflight(origin), "OPTIONS /a HTTP/1.1");
    t.equal(headerOf(refused, "access-control-allow-origin"), undefined, origin);
  }
  t.equal(preview.control.wakes.length, 0);
});

t.test("cors() says what the owner listed, and no more", async (t) => {
  const cors = { origins: ["*"], methods: ["GET"], headers: ["x-z"] };
  const preview = await startPrivatePreview(t, { route: { cors } });
  const seen = await preview.ask(preflight("https://any.example"), "OPTIONS /a HTTP/1.1");
  t.equal(headerOf(seen, "access-control-allow-origin"), "*");
  t.equal(headerOf(seen, "access-control-allow-credentials"), undefined);
  t.equal(headerOf(seen, "access-control-allow-methods"), "GET");
  t.equal(headerOf(seen, "access-control-allow-headers"), "x-z");
});

t.test("cors() speaks in the app's place, in refusals too", async (t) => {
  const preview = await startPrivatePreview(t, { route: { cors: { origins: [builder] } }, answer });
  const refused = await preview.ask(`Origin: ${builder}\r\n`);
  t.match([statusOf(refused), headerOf(refused, "access-control-allow-origin")], [401, builder]);
  const credential = `X-Preview-Token: ${token(claimsFor(preview.id))}\r\n`;
  const own = await preview.ask(`${credential}Origin: ${builder}\r\n`);
  t.same(own.match(/^access-control-allow-origin: .*/gim), [`Access-Control-Allow-Origin: ${builder}`]);
  t.equal(headerOf(own, "access-control-expose-headers"), "x-c");
  const foreign = await preview.ask(`${credential}Origin: https://evil.example\r\n`);
  t.equal(headerOf(foreign, "access-control-allow-origin"), undefined);
  t.equal(headerOf(foreign, "vary"), "Origin");
});

t.test("cors() is off by default: a preflight is a request like any other, and the app's words stand", async (t) => {
  const preview = await startPrivatePreview(t, { answer });
  t.equal(statusOf(await preview.ask(preflight(builder), "OPTIONS /a HTTP/1.1")), 401);
  const credential = `X-Preview-Token: ${token(claimsFor(preview.id))}\r\n`;
  const own = await preview.ask(`${credential}Origin: ${builder}\r\n`);
  t.equal(headerOf(own, "access-control-allow-origin"), "*");
});
