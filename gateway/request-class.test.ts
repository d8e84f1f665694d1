import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import t from "tap";
import { type RequestClass, type Route, requestClasses } from "#contract/gateway-api.ts";
import { routeTo } from "./hazards/test-gateway.ts";
import { type RequestLines, requestOf, sandboxId } from "./hazards/test-request.ts";
import { classify, extendsActivity, mayWake } from "./request-class.ts";

const chromium = [
  'sec-ch-ua: "Chromium";v="138", "Not)A;Brand";v="8"',
  "sec-ch-ua-mobile: ?0",
  'sec-ch-ua-platform: "Linux"',
  "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36",
  "Accept-Encoding: gzip, deflate, br, zstd",
  "Accept-Language: en-US,en;q=0.9",
];
const firefox = [
  "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
  "Accept-Language: en",
];
const pageAccept = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8";
const fetched = (mode: string, dest: string, ...more: string[]) => [
  ...chromium,
  "Sec-Fetch-Site: same-origin",
  `Sec-Fetch-Mode: ${mode}`,
  `Sec-Fetch-Dest: ${dest}`,
  ...more,
];
const elsewhere = (mode: string, dest: string) =>
  fetched(mode, dest).map((line) => line.replace("same-origin", "cross-site"));
const reloading = "Cache-Control: max-age=0";
const agent = (text: string, ...more: string[]) => [`User-Agent: ${text}`, ...more];
const socket = (...more: string[]) => [
  "Connection: Upgrade",
  "Upgrade: websocket",
  "Sec-WebSocket-Version: 13",
  ...more,
];

type Case = readonly [what: string, lines: RequestLines, isUpgrade?: boolean];

const cases: Readonly<Record<RequestClass, readonly Case[]>> = {
  navigation: [
    ["Chromium's address bar", { headers: [...fetched("navigate", "document", "Sec-Fetch-User: ?1"), pageAccept] }],
    ["Chromium in an iframe", { headers: [...fetched("navigate", "iframe"), pageAccept] }],
    ["a form that Chromium posts", { method: "POST", headers: [...fetched("navigate", "document"), pageAccept] }],
    ["a browser without Fetch Metadata", { headers: [...firefox, pageAccept] }],
    ["a text browser", { headers: agent("Lynx/2.9.0", "Accept: text/html, text/plain, */*;q=0.01") }],
    ["a reload by hand", { headers: [...fetched("navigate", "document", "Sec-Fetch-User: ?1"), reloading] }],
    ["a page that goes elsewhere by itself", { target: "/next", headers: fetched("navigate", "document") }],
    ["a reload from another site", { headers: [...elsewhere("navigate", "iframe"), reloading] }],
    [
      "a reload in Safari, which does not say whose it is",
      {
        headers: [
          ...agent("Mozilla/5.0 (Macintosh) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15"),
          "Sec-Fetch-Site: same-origin",
          "Sec-Fetch-Mode: navigate",
          reloading,
        ],
      },
    ],
    [
      "a telephone of the make Cubot",
      {
        headers: agent("Mozilla/5.0 (Linux; Android 13; CUBOT P80) Chrome/138.0.0.0 Mobile Safari/537.36", pageAccept),
      },
    ],
    [
      "the Sogou browser",
      {
        headers: agent(
          "Mozilla/5.0 (Linux; Android 12) SogouMobileBrowser/7.2 Chrome/98.0 Mobile Safari/537.36",
          pageAccept,
        ),
      },
    ],
  ],
  "self-reload": [
    ["a page in Chromium", { headers: [...fetched("navigate", "document"), reloading, pageAccept] }],
    ["a page in a frame of an app builder", { headers: [...fetched("navigate", "iframe"), reloading, pageAccept] }],
    [
      "a page in Firefox",
      { headers: [...firefox, "Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: navigate", reloading, pageAccept] },
    ],
  ],
  subresource: [
    ["a script", { target: "/app.js", headers: fetched("no-cors", "script", "Accept: */*") }],
    ["a module script", { target: "/@vite/client", headers: fetched("cors", "script", "Accept: */*") }],
    ["a style", { target: "/app.css", headers: fetched("no-cors", "style", "Accept: text/css,*/*;q=0.1") }],
    ["an image", { target: "/a.png", headers: fetched("no-cors", "image", "Accept: image/avif,image/webp,*/*;q=0.8") }],
    ["a font", { target: "/a.woff2", headers: fetched("cors", "font", "Accept: */*") }],
    ["a video's range", { target: "/a.mp4", headers: fetched("no-cors", "video", "Range: bytes=0-") }],
    ["a worker", { target: "/worker.js", headers: fetched("same-origin", "worker", "Accept: */*") }],
    [
      "a service worker",
      { target: "/sw.js", headers: fetched("same-origin", "serviceworker", "Service-Worker: script") },
    ],
    ["a manifest", { target: "/manifest.json", headers: fetched("cors", "manifest", "Accept: */*") }],
  ],
  api: [
    ["fetch() in a page", { target: "/api", headers: fetched("cors", "empty", "Accept: */*") }],
    [
      "a page's POST",
      { method: "POST", target: "/api", headers: fetched("cors", "empty", "Content-Type: application/json") },
    ],
    ["EventSource", { target: "/events", headers: fetched("cors", "empty", "Accept: text/event-stream") }],
    ["a page that fetch() reads", { headers: fetched("cors", "empty", "Accept: text/html") }],
    ["sendBeacon()", { method: "POST", target: "/beacon", headers: fetched("no-cors", "empty") }],
    ["curl", { headers: agent("curl/8.5.0", "Accept: */*") }],
    ["curl -X DELETE", { method: "DELETE", headers: agent("curl/8.5.0", "Accept: */*") }],
    ["curl -I of a file", { method: "HEAD", target: "/file", headers: agent("curl/8.5.0", "Accept: */*") }],
    ["a program in Python", { headers: agent("python-requests/2.32.3", "Accept: */*") }],
    ["fetch() in Node", { headers: agent("node", "Accept: */*", "Sec-Fetch-Mode: cors") }],
    ["no headers at all", {}],
    ["a form of a browser without Fetch Metadata", { method: "POST", headers: [...firefox, pageAccept] }],
    ["OPTIONS that is no preflight", { method: "OPTIONS", headers: agent("curl/8.5.0") }],
    ["OPTIONS with an origin alone", { method: "OPTIONS", headers: ["Origin: https://a.example"] }],
    ["an upgrade that is none", { headers: ["Connection: Upgrade", "Upgrade: h2c"] }],
    ["an app's own /ws", { target: "/ws", headers: fetched("cors", "empty") }],
    ["an app's own /hmr", { target: "/hmr", headers: fetched("cors", "empty") }],
    ["another path below /.well-known", { target: "/.well-known/sandboxd/states" }],
  ],
  "hmr-socket": [
    ["Vite", { headers: socket("Sec-WebSocket-Protocol: vite-hmr") }, true],
    ["Vite's ping", { target: "/?token=x", headers: socket("Sec-WebSocket-Protocol: vite-ping") }, true],
    ["Vite beside another protocol", { headers: socket("Sec-WebSocket-Protocol: graphql-ws, vite-hmr") }, true],
    ["Next.js", { target: "/_next/webpack-hmr", headers: socket() }, true],
    ["Next.js with a page", { target: "/_next/webpack-hmr?page=%2F", headers: socket() }, true],
    ["webpack", { target: "/ws", headers: socket() }, true],
    ["webpack with a query", { target: "/ws?x", headers: socket() }, true],
    ["an old webpack", { target: "/sockjs-node/123/abc/websocket", headers: socket() }, true],
    ["livereload", { target: "/livereload", headers: socket() }, true],
    ["Vite 5's ping", { target: "/", headers: fetched("no-cors", "empty", "Accept: text/x-vite-ping") }],
    ["Vite 2's ping", { target: "/__vite_ping", headers: fetched("cors", "empty") }],
    ["webpack's events", { target: "/__webpack_hmr", headers: fetched("cors", "empty", "Accept: text/event-stream") }],
    ["Next.js 11's events", { target: "/_next/webpack-hmr?page=/", headers: fetched("cors", "empty") }],
    ["an old webpack before its socket", { target: "/sockjs-node/info?t=1", headers: fetched("cors", "empty") }],
  ],
  socket: [
    ["an app's socket", { target: "/socket", headers: socket() }, true],
    [
      "an app's own protocol",
      { target: "/graphql", headers: socket("Sec-WebSocket-Protocol: graphql-transport-ws") },
      true,
    ],
    ["a protocol that only sounds like Vite's", { headers: socket("Sec-WebSocket-Protocol: x-vite-hmr") }, true],
    ["a path below webpack's", { target: "/ws/chat", headers: socket() }, true],
    ["a path that begins like webpack's", { target: "/wss", headers: socket() }, true],
    ["webpack's path in the query", { target: "/chat?to=/ws", headers: socket() }, true],
    ["a bot's socket", { target: "/gateway", headers: socket("User-Agent: DiscordBot (x, 1)") }, true],
  ],
  prefetch: [
    ["Chromium's prefetch", { headers: [...fetched("cors", "empty", "Sec-Purpose: prefetch"), pageAccept] }],
    [
      "Chromium's prerender",
      { headers: [...fetched("navigate", "document", "Sec-Purpose: prefetch;prerender"), pageAccept] },
    ],
    ["an old Chromium", { headers: [...fetched("navigate", "document", "Purpose: prefetch"), pageAccept] }],
    ["an old Firefox", { headers: [...firefox, pageAccept, "X-Moz: prefetch"] }],
    ["Safari's preview", { headers: [...firefox, pageAccept, "X-Purpose: preview"] }],
  ],
  preflight: [
    [
      "a preflight",
      {
        method: "OPTIONS",
        target: "/api",
        headers: fetched("cors", "empty", "Origin: https://a.example", "Access-Control-Request-Method: POST"),
      },
    ],
  ],
  monitor: [
    ["UptimeRobot", { headers: agent("Mozilla/5.0+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)") }],
    ["Pingdom", { headers: agent("Pingdom.com_bot_version_1.4_(http://www.pingdom.com/)", pageAccept) }],
    ["Kubernetes", { headers: agent("kube-probe/1.33") }],
    ["a load balancer", { headers: agent("ELB-HealthChecker/2.0") }],
    ["Prometheus", { target: "/metrics", headers: agent("Prometheus/3.4.0") }],
    ["HEAD /", { method: "HEAD", headers: agent("curl/8.5.0") }],
    ["HEAD / with a query", { method: "HEAD", target: "/?x" }],
    ["HEAD / of a browser", { method: "HEAD", headers: fetched("cors", "empty") }],
    [
      "the state path",
      { target: "/.well-known/sandboxd/state", headers: fetched("cors", "empty", "Accept: text/event-stream") },
    ],
    [
      "the state path opened in a browser",
      { target: "/.well-known/sandboxd/state?x", headers: [...fetched("navigate", "document"), pageAccept] },
    ],
  ],
  crawler: [
    [
      "Googlebot",
      { headers: agent("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", pageAccept) },
    ],
    [
      "Googlebot with a browser's headers",
      {
        headers: [
          ...agent("Mozilla/5.0 Chrome/138.0.0.0 Safari/537.36 (compatible; Googlebot/2.1)"),
          "Sec-Fetch-Mode: navigate",
          pageAccept,
        ],
      },
    ],
    ["Bingbot", { headers: agent("Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)") }],
    [
      "GPTBot",
      { headers: agent("Mozilla/5.0 AppleWebKit/537.36 (compatible; GPTBot/1.2; +https://openai.com/gptbot)") },
    ],
    ["ClaudeBot", { headers: agent("Mozilla/5.0 (compatible; ClaudeBot/1.0; +claudebot@anthropic.com)") }],
    ["Sogou's spider", { headers: agent("Sogou web spider/4.0(+http://www.sogou.com/docs/help/webmasters.htm#07)") }],
    ["a scanner", { target: "/.env", headers: agent("Mozilla/5.0 zgrab/0.x") }],
    ["a crawler's POST", { method: "POST", headers: agent("SomeBot/1.0") }],
  ],
  unfurler: [
    ["Slack", { headers: agent("Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)") }],
    ["Twitter", { headers: agent("Twitterbot/1.0") }],
    ["Facebook", { headers: agent("facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)") }],
    ["Discord", { headers: agent("Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)") }],
    ["WhatsApp", { headers: agent("WhatsApp/2.23.20.0 A") }],
    ["an unfurler's HEAD", { method: "HEAD", headers: agent("TelegramBot (like TwitterBot)") }],
  ],
};

for (const kind of requestClasses) {
  t.test(`classify() knows: ${kind}`, async (t) => {
    for (const [what, lines, isUpgrade = false] of cases[kind]) {
      t.equal(classify(requestOf(lines), lines.target ?? "/", isUpgrade), kind, what);
    }
  });
}

t.test("mayWake() and extendsActivity() follow the table", async (t) => {
  const route = routeTo(sandboxId, 1);
  const table = Object.fromEntries(
    requestClasses.map((kind) => [kind, [mayWake(route, kind), extendsActivity(route, kind)]]),
  );
  t.strictSame(table, {
    navigation: [true, true],
    "self-reload": [false, true],
    subresource: [true, true],
    api: [true, true],
    "hmr-socket": [false, false],
    socket: [true, true],
    prefetch: [false, false],
    preflight: [true, false],
    monitor: [false, false],
    crawler: [false, false],
    unfurler: [false, false],
  });
});

t.test("mayWake() and extendsActivity() take what a sandbox says of a class, one by one", async (t) => {
  const classes: Route["wakePolicy"]["classes"] = {
    crawler: { wake: true },
    monitor: { extend: true },
    api: { wake: false, extend: false },
    socket: {},
  };
  const route = routeTo(sandboxId, 1, { wakePolicy: { classes } });
  const of = (kind: RequestClass) => [mayWake(route, kind), extendsActivity(route, kind)];
  t.strictSame(of("crawler"), [true, false]);
  t.strictSame(of("monitor"), [false, true]);
  t.strictSame(of("api"), [false, false]);
  t.strictSame(of("socket"), [true, true]);
  t.strictSame(of("unfurler"), [false, false]);
});

t.test("classify() remembers agents, however many come", async (t) => {
  const classOf = (text: string) => classify(requestOf({ headers: agent(text) }), "/", false);
  for (let index = 0; index < 5_000; index++) classOf(`crawl ${index}`);
  t.equal(classOf("crawl 1"), "crawler");
  t.equal(classOf("browse 1"), "api");
  const filler = "x".repeat(300);
  const time = (agentOf: (index: number) => string) => {
    const requests = Array.from({ length: 5_000 }, (_, index) => requestOf({ headers: agent(agentOf(index)) }));
    for (const request of requests) void request.headers;
    const begun = performance.now();
    for (const request of requests) classify(request, "/", false);
    return performance.now() - begun;
  };
  const rounds = Array.from({ length: 7 }, (_, round) => ({
    unknown: time((index) => `${round} ${filler}${index}`),
    known: time(() => filler),
  }));
  const unknown = Math.min(...rounds.map((round) => round.unknown));
  const known = Math.min(...rounds.map((round) => round.known));
  t.ok(known < unknown / 2, `${known} ms for one agent, ${unknown} ms for as many agents as requests`);
});

t.test("classify() keeps no agent of any length in memory", async (t) => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  collect();
  const before = process.memoryUsage().heapUsed;
  for (let index = 0; index < 100; index++) {
    const text = Buffer.alloc(500_000, `${index} `).toString("latin1");
    classify(requestOf({ headers: agent(`crawl ${text}`) }), "/", false);
  }
  collect();
  const grown = process.memoryUsage().heapUsed - before;
  t.ok(grown < 10_000_000, `${grown} bytes`);
});
