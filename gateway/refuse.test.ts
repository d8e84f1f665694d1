import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import t, { type Test } from "tap";
import { type RefusalCode, refusalCodes } from "#contract/error-codes.ts";
import { type RequestClass, requestClasses, sandboxStatuses } from "#contract/gateway-api.ts";
import type { Exchange } from "./exchange.ts";
import { RawClient, routeTo } from "./hazards/test-gateway.ts";
import { exchangeOf, sandboxId } from "./hazards/test-request.ts";
import { openPages } from "./pages/pages.ts";
import { refusalTexts } from "./pages/refusal-texts.ts";
import { answer, publicState, Refuser } from "./refuse.ts";

const refuser = new Refuser(openPages());

type Answered = { readonly head: string; readonly body: string };

/** What a client gets of one exchange that is handled so; the request may have other lines. */
async function answered(
  t: Test,
  handle: (exchange: Exchange) => void,
  more: Partial<Exchange> = {},
  request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
): Promise<Answered> {
  const server = createServer((request, response) => handle({ ...exchangeOf({}, {}, more), request, response }));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => server.close());
  const text = await new RawClient((server.address() as AddressInfo).port).send(request).whole();
  const end = text.indexOf("\r\n\r\n");
  return { head: text.slice(0, end + 2), body: text.slice(end + 4) };
}

for (const code of refusalCodes) {
  t.test(`Refuser.refuse() says ${code} as a page and as a problem document`, async (t) => {
    const { status, title } = refusalTexts[code];
    for (const kind of ["navigation", "api"] as const) {
      const { head, body } = await answered(t, (exchange) => refuser.refuse(exchange, code), { class: kind });
      t.match(head, new RegExp(`^HTTP/1\\.1 ${status} `));
      t.match(head, `X-Sandbox-Gateway: ${code}\r\n`);
      t.match(head, "Cache-Control: no-store\r\n");
      t.match(head, "X-Sandbox-State: running\r\n");
      t.match(head, "X-Robots-Tag: noindex\r\n");
      t.match(head, `Content-Length: ${Buffer.byteLength(body)}\r\n`);
      t.equal(head.match(/^Date: /gm)?.length, 1);
      if (kind === "navigation") {
        t.match(head, "Content-Type: text/html; charset=utf-8\r\n");
        t.match(head, /Content-Security-Policy: default-src 'none';/);
        t.match(body, `<h1>${title.replaceAll("'", "&#39;")}</h1>`);
      } else {
        t.match(head, "Content-Type: application/problem+json\r\n");
        t.match(JSON.parse(body), { type: "about:blank", title, status, code, sandbox_id: sandboxId });
      }
    }
  });
}

t.test("Refuser.refuse() says what is known", async (t) => {
  const details = { detail: "Because.", retryAfterSeconds: 7, exitCode: 3, listeningPorts: [5173], reason: "expired" };
  const { head, body } = await answered(t, (exchange) => refuser.refuse(exchange, "exited", details));
  t.match(head, "Retry-After: 7\r\n");
  t.match(JSON.parse(body), {
    detail: "Because.",
    retry_after_seconds: 7,
    exit_code: 3,
    listening_ports: [5173],
    reason: "expired",
  });
  const plain = await answered(t, (exchange) => refuser.refuse(exchange, "exited"));
  t.notMatch(plain.head, /Retry-After/);
});

t.test("Refuser.refuse() asks whoever is not known for a credential", async (t) => {
  const { head } = await answered(t, (exchange) => refuser.refuse(exchange, "unauthorized"));
  t.match(head, "WWW-Authenticate: Bearer\r\n");
});

t.test("Refuser.refuse() gives pages to people alone", async (t) => {
  const asking = "GET / HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\nConnection: close\r\n\r\n";
  const isPage = async (more: Partial<Exchange>, request: string) => {
    const { head } = await answered(t, (exchange) => refuser.refuse(exchange, "asleep"), more, request);
    return head.includes("Content-Type: text/html");
  };
  const always: RequestClass[] = ["navigation", "self-reload"];
  const whenAsked: RequestClass[] = [...always, "prefetch", "monitor", "crawler", "unfurler"];
  for (const kind of requestClasses) {
    t.equal(await isPage({ class: kind }, asking.replace("Accept: text/html\r\n", "")), always.includes(kind), kind);
    t.equal(await isPage({ class: kind }, asking), whenAsked.includes(kind), `${kind} that asks for it`);
  }
  t.equal(await isPage({ class: undefined as never }, asking), true, "before it is classified, too");
  t.equal(await isPage({ class: "monitor" }, asking.replace("GET", "POST")), false, "a POST is a program's");
});

t.test("Refuser.refuse() tells the state of a known sandbox, and of none other", async (t) => {
  for (const status of sandboxStatuses) {
    const target = { id: sandboxId, port: 3000, route: routeTo(sandboxId, 1, { status }) };
    const { head } = await answered(t, (exchange) => refuser.refuse(exchange, "asleep"), { target });
    t.match(head, `X-Sandbox-State: ${publicState(status)}\r\n`);
  }
  const { head, body } = await answered(t, (exchange) => {
    delete exchange.target;
    refuser.refuse(exchange, "not_found");
  });
  t.notMatch(head, /X-Sandbox-State/);
  t.notMatch(body, /sandbox_id/);
});

t.test("publicState() calls both ways of sleeping asleep", async (t) => {
  t.strictSame(
    sandboxStatuses.map((status) => publicState(status)),
    ["creating", "running", "draining", "asleep", "asleep", "waking", "error"],
  );
});

t.test("answer() sends no body to HEAD, and says how long it would be", async (t) => {
  const { head, body } = await answered(
    t,
    (exchange) => answer(exchange, "state", 200, ["Content-Type", "text/plain"], "hello"),
    {},
    "HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
  );
  t.match(head, "Content-Length: 5\r\n");
  t.equal(body, "");
});

t.test("answer() does nothing once an answer has begun", async (t) => {
  const { head, body } = await answered(t, (exchange) => {
    exchange.response.writeHead(200, { "Content-Length": "2" });
    refuser.refuse(exchange, "busy");
    answer(exchange, "state", 503, []);
    exchange.response.end("ok");
  });
  t.match(head, /^HTTP\/1\.1 200 OK\r\n/);
  t.notMatch(head, /X-Sandbox-Gateway/);
  t.equal(body, "ok");
});

t.test("answer() closes a connection whose request has more to come", async (t) => {
  const unread = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf";
  const { head } = await answered(t, (exchange) => refuser.refuse(exchange, "busy"), {}, unread);
  t.match(head, "Connection: close\r\n");
});

t.test("answer() keeps a connection whose request has nothing more to come, unless it was malformed", async (t) => {
  const two = "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
  const count = async (code: RefusalCode) => {
    const { head, body } = await answered(t, (exchange) => refuser.refuse(exchange, code), {}, two);
    return `${head}${body}`.match(/^X-Sandbox-Gateway/gm)?.length;
  };
  t.equal(await count("unauthorized"), 2);
  t.equal(await count("bad_request"), 1);
});
