import { once } from "node:events";
import t from "tap";
import type { Route } from "#contract/gateway-api.ts";
import {
  addRoute,
  answering,
  exchangeBytes,
  newId,
  RawClient,
  routeTo,
  startApp,
  startGateway,
} from "./test-gateway.ts";

const chromium =
  "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36";
const asleep = { status: "stopped", endpoints: [] } as const satisfies Partial<Route>;

/** Requests that may not wake a sandbox, as request line and header lines. */
const quiet: Readonly<Record<string, readonly [string, string]>> = {
  "a reload socket": [
    "GET /",
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: vite-hmr\r\nSec-WebSocket-Key: x\r\n",
  ],
  "a prefetch": ["GET /", `User-Agent: ${chromium}\r\nSec-Fetch-Mode: navigate\r\nSec-Purpose: prefetch;prerender\r\n`],
  "a monitor": ["GET /", "User-Agent: UptimeRobot/2.0\r\n"],
  "HEAD /": ["HEAD /", "User-Agent: curl/8.5.0\r\n"],
  "a crawler": ["GET /", "User-Agent: Mozilla/5.0 (compatible; Googlebot/2.1)\r\nAccept: text/html\r\n"],
  "an unfurler": ["GET /", "User-Agent: Slackbot-LinkExpanding 1.0\r\n"],
};

const request = (line: string, host: string, lines: string) =>
  `${line} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n${lines}\r\n`;

t.test("what may not wake a sandbox is told that it is asleep", async (t) => {
  const test = await startGateway(t);
  for (const status of ["stopped", "paused"] as const) {
    const host = await addRoute(test, routeTo(newId(), 1, { ...asleep, status }));
    for (const [what, [line, lines]] of Object.entries(quiet)) {
      const text = await exchangeBytes(test.port, request(line, host, lines));
      t.match(text, /^HTTP\/1\.1 503 Service Unavailable\r\n/, what);
      t.match(text, /Retry-After: \d+\r\n/);
      t.match(text, /X-Sandbox-Gateway: asleep\r\n/);
      t.match(text, /X-Sandbox-State: asleep\r\n/);
      t.match(text, /Cache-Control: no-store\r\n/);
    }
  }
  t.strictSame(test.control.wakes, []);
});

t.test("what may not wake a sandbox is told so in its own language", async (t) => {
  const test = await startGateway(t);
  const host = await addRoute(test, routeTo(newId(), 1, asleep));
  const crawler = await exchangeBytes(test.port, request("GET /", host, quiet["a crawler"]![1]));
  t.match(crawler, /Content-Type: text\/html; charset=utf-8\r\n[\s\S]*Wake it up/, "a page with a button");
  const monitor = await exchangeBytes(test.port, request("GET /", host, quiet["a monitor"]![1]));
  t.match(monitor, /Content-Type: application\/problem\+json\r\n[\s\S]*"code":"asleep"/);
});

const selfReload = `User-Agent: ${chromium}\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Site: same-origin\r\nCache-Control: max-age=0\r\n`;

t.test("a page that loads itself again wakes nothing, and gets one that waits for somebody", async (t) => {
  const test = await startGateway(t);
  const host = await addRoute(test, routeTo(newId(), 1, asleep));
  const text = await exchangeBytes(test.port, request("GET /", host, selfReload));
  t.match(text, /^HTTP\/1\.1 503 [\s\S]*X-Sandbox-Gateway: asleep\r\n[\s\S]*<main data-phase="asleep"/);
  t.match(text, /Content-Security-Policy: [^\r]*connect-src 'self'/);
  t.notMatch(text, /http-equiv="refresh"/);
  const waking = await addRoute(test, routeTo(newId(), 1, { ...asleep, status: "waking" }));
  const meanwhile = await exchangeBytes(test.port, request("GET /", waking, selfReload));
  t.match(meanwhile, /^HTTP\/1\.1 503 [\s\S]*X-Sandbox-Gateway: waking\r\n[\s\S]*<main data-phase="starting"/);
  const classes = { navigation: { wake: false } };
  const never = await addRoute(test, routeTo(newId(), 1, { ...asleep, wakePolicy: { classes } }));
  const plain = await exchangeBytes(test.port, request("GET /", never, selfReload));
  t.match(plain, /X-Sandbox-Gateway: asleep\r\n/);
  t.notMatch(plain, /<script>/, "where nobody may wake it, the page does not try to");
  t.strictSame(test.control.wakes, []);
});

t.test("a page that loads itself again is no visit, for all that it keeps a sandbox awake", async (t) => {
  const test = await startGateway(t);
  const app = await startApp(
    t,
    answering(() => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
  );
  const route = routeTo(newId(), app);
  await exchangeBytes(test.port, request("GET /", await addRoute(test, route), selfReload));
  const of = () => test.control.reports.flatMap(({ sandboxes }) => sandboxes).find(({ id }) => id === route.id);
  while (of() === undefined) await once(test.control.called, "activity");
  t.match(of(), { lastNavigationAt: 0, lastClass: "self-reload" });
  t.ok(of()!.lastActiveAt > 0);
});

t.test("a page that loads itself again is no activity of a sandbox that it lets sleep", async (t) => {
  const test = await startGateway(t);
  const route = routeTo(newId(), 1, asleep);
  await exchangeBytes(test.port, request("GET /", await addRoute(test, route), selfReload));
  const of = () => test.control.reports.flatMap(({ sandboxes }) => sandboxes).find(({ id }) => id === route.id);
  while (of() === undefined) await once(test.control.called, "activity");
  t.match(of(), { lastActiveAt: 0, requests: 1 });
});

t.test("the gateway answers for a sleeping sandbox what is asked of every host", async (t) => {
  const test = await startGateway(t);
  for (const visibility of ["public", "private"] as const) {
    const host = await addRoute(test, routeTo(newId(), 1, { ...asleep, visibility }));
    const robots = await exchangeBytes(test.port, request("GET /robots.txt", host, ""));
    t.match(robots, /^HTTP\/1\.1 200 OK\r\n[\s\S]*X-Sandbox-Gateway: robots\r\n[\s\S]*User-agent: \*\nDisallow: \/\n$/);
    const icon = await exchangeBytes(test.port, request("GET /favicon.ico?v=2", host, "Sec-Fetch-Dest: image\r\n"));
    t.match(icon, /^HTTP\/1\.1 200 OK\r\nContent-Type: image\/svg\+xml\r\n[\s\S]*<svg /);
    const head = await exchangeBytes(test.port, request("HEAD /favicon.ico", host, ""));
    t.match(head, /^HTTP\/1\.1 200 OK\r\n[\s\S]*Content-Length: [1-9]\d*\r\n[\s\S]*\r\n\r\n$/, "HEAD has no body");
  }
  t.strictSame(test.control.wakes, []);
});

t.test("the state path of a sleeping sandbox tells its status", async (t) => {
  const test = await startGateway(t);
  const route = routeTo(newId(), 1, asleep);
  const host = await addRoute(test, route);
  const text = await exchangeBytes(test.port, request("GET /.well-known/sandboxd/state", host, ""));
  t.match(text, /^HTTP\/1\.1 200 OK\r\nContent-Type: application\/json\r\nX-Sandbox-Gateway: state\r\n/);
  t.match(text, /X-Sandbox-State: asleep\r\n/);
  t.strictSame(JSON.parse(text.slice(text.indexOf("\r\n\r\n"))), { id: route.id, status: "stopped" });
  t.strictSame(test.control.wakes, []);
});

t.test("a running sandbox answers for itself", async (t) => {
  const test = await startGateway(t);
  const app = await startApp(
    t,
    answering(() => "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nthe app\n"),
  );
  const host = await addRoute(test, routeTo(newId(), app));
  for (const path of ["/robots.txt", "/favicon.ico", "/"]) {
    for (const lines of ["", "User-Agent: Googlebot/2.1\r\n", "Sec-Purpose: prefetch\r\n"]) {
      const text = await exchangeBytes(test.port, request(`GET ${path}`, host, lines));
      t.match(text, /^HTTP\/1\.1 200 OK\r\n[\s\S]*the app\n$/, path);
      t.notMatch(text, /X-Sandbox-/);
    }
  }
});

t.test("a sandbox's own policy decides which classes wake it", async (t) => {
  const test = await startGateway(t);
  const classes = { crawler: { wake: true }, api: { wake: false } };
  const host = await addRoute(test, routeTo(newId(), 1, { ...asleep, wakePolicy: { classes } }));
  const api = await exchangeBytes(test.port, request("GET /data.json", host, "User-Agent: curl/8.5.0\r\n"));
  t.match(api, /X-Sandbox-Gateway: asleep\r\n/);
  t.strictSame(test.control.wakes, []);
  const monitor = await exchangeBytes(test.port, request("GET /", host, "User-Agent: UptimeRobot/2.0\r\n"));
  t.match(monitor, /X-Sandbox-Gateway: asleep\r\n/, "what it does not name follows the defaults");
  const woken = once(test.control.called, "wake");
  const crawler = new RawClient(test.port).send(request("GET /", host, "User-Agent: Googlebot/2.1\r\n"));
  await woken;
  t.match(await crawler.whole(), /X-Sandbox-Gateway: waking_timeout\r\n/);
});

t.test("a sandbox's own policy decides which classes keep it awake", async (t) => {
  const test = await startGateway(t);
  const app = await startApp(
    t,
    answering(() => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
  );
  const classes = { crawler: { extend: true }, api: { extend: false } };
  const reported = async (lines: string, wakePolicy: Route["wakePolicy"]) => {
    const route = routeTo(newId(), app, { wakePolicy });
    const host = await addRoute(test, route);
    await exchangeBytes(test.port, request("GET /", host, lines));
    const of = () => test.control.reports.flatMap(({ sandboxes }) => sandboxes).findLast(({ id }) => id === route.id);
    while (of() === undefined) await once(test.control.called, "activity");
    return of()!.lastActiveAt > 0;
  };
  const crawler = "User-Agent: Googlebot/2.1\r\n";
  t.equal(await reported(crawler, { classes: {} }), false);
  t.equal(await reported(crawler, { classes }), true);
  t.equal(await reported("", { classes: {} }), true);
  t.equal(await reported("", { classes }), false);
});

t.test("nobody without a credential wakes a private sandbox", async (t) => {
  const test = await startGateway(t);
  const host = await addRoute(test, routeTo(newId(), 1, { ...asleep, visibility: "private" }));
  const navigation = await exchangeBytes(test.port, request("GET /", host, "Sec-Fetch-Mode: navigate\r\n"));
  t.match(navigation, /^HTTP\/1\.1 401 Unauthorized\r\n[\s\S]*text\/html[\s\S]*X-Sandbox-Gateway: unauthorized\r\n/);
  const api = await exchangeBytes(test.port, request("POST /", host, "Content-Length: 0\r\n"));
  t.match(api, /^HTTP\/1\.1 401 [\s\S]*application\/problem\+json[\s\S]*"reason":"no_token"/);
  const state = await exchangeBytes(test.port, request("GET /.well-known/sandboxd/state", host, ""));
  t.match(state, /^HTTP\/1\.1 401 /);
  t.strictSame(test.control.wakes, []);
});
