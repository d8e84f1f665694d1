import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import acme from "acme-client";
import t, { type Test } from "tap";
import { callAuthority, getJson, parseRetryAfter } from "./authority-calls.ts";

const { signal } = new AbortController();

async function serve(t: Test, answer: RequestListener): Promise<string> {
  const server = createServer(answer).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

t.test("parseRetryAfter() reads seconds and dates, and nothing else", async (t) => {
  const now = Date.parse("2026-01-01T00:00:00Z");
  t.equal(parseRetryAfter("120", now), 120_000);
  t.equal(parseRetryAfter("Thu, 01 Jan 2026 01:00:00 GMT", now), 3_600_000);
  for (const text of [undefined, "", "0", "-1", "soon", "Wed, 31 Dec 2025 23:00:00 GMT"])
    t.equal(parseRetryAfter(text, now), null);
});

t.test("callAuthority() says what the CA says, with every part of it", async (t) => {
  const type = "urn:ietf:params:acme:error:rejectedIdentifier";
  const subproblems = [{ detail: "one is forbidden" }, { detail: "another is not a name" }];
  const url = await serve(t, (_, response) => {
    response.writeHead(403, { "content-type": "application/problem+json", "retry-after": "60" });
    response.end(JSON.stringify({ type, detail: "no", subproblems }));
  });
  await t.rejects(getJson(url, signal), {
    message: "the CA refuses: no; one is forbidden; another is not a name (rejectedIdentifier)",
    ...{ status: 403, type: "rejectedIdentifier", retryAfterMs: 60_000 },
  });
});

t.test("callAuthority() makes something of an answer that is no problem document", async (t) => {
  const url = await serve(t, (_, response) => response.writeHead(502, { "content-type": "text/html" }).end("<h1>Bad"));
  await t.rejects(getJson(url, signal), { message: "the CA refuses: status 502 (502)", status: 502, type: "" });
});

t.test("callAuthority() says that nobody answers, at once", async (t) => {
  const client = new acme.Client({
    directoryUrl: "https://127.0.0.1:1/dir",
    accountKey: await acme.crypto.createPrivateEcdsaKey(),
  });
  await t.rejects(
    callAuthority(signal, () => client.createAccount({})),
    {
      message: "the CA does not answer: ECONNREFUSED",
      status: 0,
    },
  );
});

t.test("callAuthority() does not sleep through a Retry-After", async (t) => {
  let asked = 0;
  const url = await serve(t, (_, response) => {
    asked++;
    response.writeHead(503, { "retry-after": "86400" }).end();
  });
  await t.rejects(getJson(url, signal), {
    ...{ name: "AuthorityError", message: /./ },
    ...{ status: 503, retryAfterMs: 86_400_000 },
  });
  t.equal(asked, 1);
});

t.test("callAuthority() ends with its signal in the middle of an answer", async (t) => {
  const abort = new AbortController();
  const url = await serve(t, (_, response) => {
    response.writeHead(200).write("{");
    abort.abort();
  });
  await t.rejects(getJson(url, abort.signal), { name: "AbortError" });
});
