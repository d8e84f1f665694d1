import type { Socket } from "node:net";
import t from "tap";
import {
  addRoute,
  answering,
  newId,
  ok,
  RawClient,
  routeTo,
  startApp,
  startGateway,
  startPreview,
} from "./test-gateway.ts";

/** Sends a request with these header lines and returns the head that the app got. */
async function seenByApp(
  t: Parameters<typeof startGateway>[0],
  lines: string,
  more = {},
  config = {},
): Promise<string> {
  const test = await startGateway(t, config);
  const seen = Promise.withResolvers<string>();
  const app = await startApp(
    t,
    answering((head) => {
      seen.resolve(head);
      return ok;
    }),
  );
  const host = await addRoute(test, routeTo(newId(), app, more));
  const client = new RawClient(test.port).send(`GET /a HTTP/1.1\r\nHost: ${host}:8443\r\n${lines}\r\n`);
  await client.until(({ text }) => text.endsWith("ok"));
  client.socket.destroy();
  return (await seen.promise).replaceAll(host, "PUBLIC");
}

/** Sends a request and returns what the client got, when the app answers with these bytes. */
async function seenByClient(
  t: Parameters<typeof startGateway>[0],
  bytes: string,
  until = "ok",
  request = "GET / HTTP/1.1",
): Promise<string> {
  const test = await startGateway(t);
  const app = await startApp(
    t,
    answering(() => bytes),
  );
  const host = await addRoute(test, routeTo(newId(), app));
  const client = new RawClient(test.port).send(`${request}\r\nHost: ${host}\r\n\r\n`);
  await client.until(({ text }) => text.endsWith(until));
  client.socket.destroy();
  return client.text.replaceAll(host, "PUBLIC");
}

t.test("upstreamHeaders() keeps order, case, duplicates and bytes of a request's headers", async (t) => {
  const head = await seenByApp(t, "X-b: 1\r\nx-A: \xe4\xff\r\nX-b: 2\r\nCookie: a=b\r\nCookie: c=d\r\n");
  t.match(head, /X-b: 1\r\nx-A: \xe4\xff\r\nX-b: 2\r\nCookie: a=b\r\nCookie: c=d\r\n/);
});

t.test("upstreamHeaders() says localhost by default and where the client was in X-Forwarded-Host", async (t) => {
  const head = await seenByApp(t, "");
  t.match(head, /^GET \/a HTTP\/1\.1\r\nhost: localhost:3000\r\n/i);
  t.match(head, /X-Forwarded-Host: PUBLIC:8443\r\n/);
  t.match(head, /X-Forwarded-Port: 8443\r\n/);
});

t.test("upstreamHeaders() keeps the public host when the policy says so", async (t) => {
  t.match(await seenByApp(t, "", { hostPolicy: "preserve" }), /\r\nhost: PUBLIC:8443\r\n/i);
  t.match(await seenByApp(t, "", { hostPolicyByPort: { 3000: "preserve" } }), /\r\nhost: PUBLIC:8443\r\n/i);
});

t.test("upstreamHeaders() drops what belongs to the connection", async (t) => {
  const lines = "Keep-Alive: 5\r\nProxy-Connection: x\r\nTE: trailers\r\nProxy-Authorization: x\r\nUpgrade: h2c\r\n";
  const head = await seenByApp(
    t,
    `Connection: Upgrade, X-Hop, close\r\nX-Hop: 1\r\nHTTP2-Settings: x\r\n${lines}X-End: 1\r\n`,
  );
  t.notMatch(head, /x-hop|keep-alive: 5|proxy-|\bte:|upgrade|http2/i);
  t.match(head, /X-End: 1\r\n/);
});

t.test("upstreamHeaders() lets no Connection header strip what is needed or ours", async (t) => {
  const names = "Cookie, Authorization, X-Forwarded-For, Host, X-Real-Ip, Content-Type";
  const head = await seenByApp(
    t,
    `Connection: ${names}\r\nCookie: a=b\r\nAuthorization: Basic x\r\nContent-Type: a/b\r\n`,
  );
  for (const line of [
    /Cookie: a=b/,
    /Authorization: Basic x/,
    /X-Forwarded-For: 127/,
    /X-Real-Ip: 127/,
    /host: local/i,
    /a\/b/,
  ]) {
    t.match(head, line);
  }
});

t.test("upstreamHeaders() believes nobody but trusted proxies, in any spelling", async (t) => {
  const forged = [
    "X-Forwarded-For: 6.6.6.6",
    "X_Forwarded_For: 6.6.6.6",
    "X-Forwarded_For: 6.6.6.6",
    "Forwarded: for=6.6.6.6",
  ];
  const more = [
    "X-Real-IP: 6.6.6.6",
    "True-Client-IP: 6.6.6.6",
    "X-Original-URL: /6.6.6.6",
    "X-Forwarded-Host: 6.6.6.6",
  ];
  const user = ["X-Sandbox-External-User-Id: 6.6.6.6", "X_Sandbox_External_User_Id: 6.6.6.6"];
  const lines = [...forged, ...more, ...user, "X-Forwarded-Proto: https"].map((line) => `${line}\r\n`).join("");
  const head = await seenByApp(t, lines, {}, { trustedProxies: ["10.0.0.0/8"] });
  t.notMatch(head, /6\.6\.6\.6|_for|https|external/i);
  t.match(head, /X-Forwarded-For: 127\.0\.0\.1\r\nX-Forwarded-Proto: http\r\n/);
  t.match(head, /X-Real-Ip: 127\.0\.0\.1\r\n/);
});

t.test("upstreamHeaders() believes trusted proxies, except in what they merely pass on", async (t) => {
  const lines = "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Real-Ip: 6.6.6.6\r\n";
  const head = await seenByApp(
    t,
    `${lines}X_Forwarded_For: 7.7.7.7\r\nForwarded: for=7.7.7.7\r\nTrue-Client-Ip: 7.7.7.7\r\n`,
  );
  t.match(head, /X-Forwarded-For: 6\.6\.6\.6\r\nX-Forwarded-Proto: https\r\n/);
  t.match(head, /X-Real-Ip: 6\.6\.6\.6\r\n/);
  t.notMatch(head, /7\.7\.7\.7/);
});

t.test("downstreamHeaders() keeps order, case, duplicates, bytes and the reason", async (t) => {
  const head = "X-b: 1\r\nx-A: \xe4\xff\r\nX-b: 2\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\n";
  const text = await seenByClient(t, `HTTP/1.1 418 I am a Teapot\r\n${head}Content-Length: 2\r\n\r\nok`);
  t.match(text, `HTTP/1.1 418 I am a Teapot\r\n${head}Content-Length: 2\r\n`);
});

t.test("a head that goes out before its body keeps its bytes, whichever way it comes", async (t) => {
  const head = "HTTP/1.1 403 Forbidden\r\nX-L: \xe4\xff\r\nX-U: \xc3\xbc\r\nContent-Length: 2\r\n";
  const { port, host } = await startPreview(
    t,
    answering(() => `${head}\r\n`),
  );
  const lines = {
    "a plain request": "GET / HTTP/1.1\r\n",
    "an upgrade": "GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n",
    "a body that waits": "POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n",
  };
  for (const [what, request] of Object.entries(lines)) {
    const client = new RawClient(port).send(`${request}Host: ${host}\r\n\r\n`);
    await client.until(({ text }) => text.includes("\r\n\r\n"));
    t.equal(client.text.slice(0, head.length), head, what);
    client.socket.destroy();
  }
});

t.test("downstreamHeaders() keeps an empty reason and one that is not ASCII", async (t) => {
  t.match(await seenByClient(t, "HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok"), /^HTTP\/1\.1 200 \r\n/);
  t.match(
    await seenByClient(t, "HTTP/1.1 200 Gr\xc3\xbc\xc3\x9fe\r\nContent-Length: 2\r\n\r\nok"),
    /^HTTP\/1\.1 200 Gr\xc3\xbc\xc3\x9fe\r\n/,
  );
});

t.test("downstreamHeaders() drops what belongs to the connection and what only the gateway says", async (t) => {
  const hop =
    "Connection: X-Hop, Content-Length, Set-Cookie\r\nX-Hop: 1\r\nKeep-Alive: timeout=7\r\nProxy-Authenticate: x\r\n";
  const gateway =
    "X-Sandbox-Gateway: fake\r\nX-Sandbox-State: asleep\r\nService-Worker-Allowed: /\r\nSet-Cookie: a=b\r\n";
  const text = await seenByClient(t, `HTTP/1.1 200 OK\r\n${hop}${gateway}Content-Length: 2\r\n\r\nok`);
  t.notMatch(text, /x-hop|timeout=7|proxy-auth|x-sandbox|service-worker/i);
  t.match(text, /Set-Cookie: a=b\r\nContent-Length: 2\r\n/);
});

t.test("confinedCookie() takes a cookie's wider domain away and keeps the rest", async (t) => {
  const cookies = [
    "a=b; Domain=.test.example; Path=/; Secure",
    "c=d; path=/;domain = preview.test.example",
    "e=domain",
  ];
  const head = cookies.map((cookie) => `Set-Cookie: ${cookie}\r\n`).join("");
  const text = await seenByClient(t, `HTTP/1.1 200 OK\r\n${head}Content-Length: 2\r\n\r\nok`);
  t.match(text, "Set-Cookie: a=b; Path=/; Secure\r\nSet-Cookie: c=d; path=/\r\nSet-Cookie: e=domain\r\n");
});

t.test("downstreamHeaders() asks robots to stay away unless the app speaks to them", async (t) => {
  t.match(await seenByClient(t, ok), /X-Robots-Tag: noindex\r\n/);
  const text = await seenByClient(t, "HTTP/1.1 200 OK\r\nX-Robots-Tag: all\r\nContent-Length: 2\r\n\r\nok");
  t.match(text, /X-Robots-Tag: all\r\n/);
  t.notMatch(text, /noindex/);
});

t.test("the relay passes 103 on and drops what HTTP/1.0 cannot read", async (t) => {
  const bytes =
    "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
  t.match(
    await seenByClient(t, bytes),
    /^HTTP\/1\.1 103 Early Hints\r\nLink: <\/a>; rel=preload\r\n\r\nHTTP\/1\.1 200 OK\r\n/,
  );
  t.match(await seenByClient(t, bytes, "ok", "GET / HTTP/1.0"), /^HTTP\/1\.1 200 OK\r\n/);
});

t.test("the relay answers HEAD, 204 and 304 without a body", async (t) => {
  const head = await seenByClient(t, "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n", "\r\n\r\n", "HEAD / HTTP/1.1");
  t.match(head, /Content-Length: 1234\r\n/);
  t.notMatch(await seenByClient(t, "HTTP/1.1 204 No Content\r\n\r\n", "\r\n\r\n"), /content-length|transfer-encoding/i);
  const unmodified = await seenByClient(
    t,
    "HTTP/1.1 304 Not Modified\r\nETag: x\r\nContent-Length: 99\r\n\r\n",
    "\r\n\r\n",
  );
  t.match(unmodified, /ETag: x\r\nContent-Length: 99\r\n/);
});

t.test("the relay flushes the head before the first byte of the body", async (t) => {
  const bytes = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
  t.match(await seenByClient(t, bytes, "\r\n\r\n"), /^HTTP\/1\.1 200 OK\r\n/);
});

t.test("a slow app's answer arrives part by part, whichever way it comes", async (t) => {
  const lines = {
    "a plain request": "GET / HTTP/1.1\r\n",
    "an upgrade": "GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n",
    "a body that waits": "POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n",
  };
  for (const [what, request] of Object.entries(lines)) {
    const app = Promise.withResolvers<Socket>();
    const { port, host } = await startPreview(
      t,
      answering((_, socket) => {
        app.resolve(socket);
        return "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n";
      }),
    );
    const client = new RawClient(port).send(`${request}Host: ${host}\r\n\r\n`);
    const socket = await app.promise;
    for (let sent = "", part = 0; part < 10; part++) {
      await client.until(({ text }) => text.endsWith(`\r\n\r\n${sent}`));
      socket.write(`${part}.`);
      sent += `${part}.`;
    }
    await client.until(({ text }) => text.endsWith("8.9."));
    t.pass(what);
    client.socket.destroy();
  }
});

t.test("the relay leaves the target byte for byte", async (t) => {
  const test = await startGateway(t);
  const seen: string[] = [];
  const app = await startApp(
    t,
    answering((head) => {
      seen.push(head.slice(0, head.indexOf(" HTTP")));
      return ok;
    }),
  );
  const host = await addRoute(test, routeTo(newId(), app));
  const targets = [
    "//a//b",
    "/a/../b",
    "/%2e%2e/%41",
    "/a?b=c&b=%zz",
    "/a\\b",

    "/a|b{c}",
    "/a;p=1?",
    "/?",
  ];
  for (const target of targets) {
    const client = new RawClient(test.port).send(`GET ${target} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    await client.until(({ text }) => text.endsWith("ok"));
    client.socket.destroy();
  }
  t.strictSame(
    seen,
    targets.map((target) => `GET ${target}`),
  );
});
