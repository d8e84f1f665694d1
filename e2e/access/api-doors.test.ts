import { join } from "node:path";
import Sqlite from "better-sqlite3";
import t from "tap";
import { gatewayApiHost } from "#contract/gateway-api.ts";
import { claimsFor, hmacToken } from "../../control/testing/tokens.ts";
import { Chain, headerOf, navigation, openSession, secret, statusOf } from "./chain.ts";

/** Who may call the API, over its host at the edge and on loopback, and what is written down of it. */

const tokens = "reader:read-secret:read,worker:work-secret:sandboxes,admin:admin-secret";
const as = (token: string, client = "198.51.100.9") =>
  `Authorization: Bearer ${token}\r\nX-Forwarded-For: ${client}\r\n`;
const json = "Content-Type: application/json\r\n";

function bodyOf(answer: string) {
  return answer.slice(answer.indexOf("\r\n\r\n") + 4);
}

t.test("the API host asks everybody for a token, and lets each do what its scope says", async (t) => {
  const chain = await Chain.start(t, { SANDBOXD_API_TOKENS: tokens });
  const box = await chain.create();
  const call = (lines: string, line: string, body = "") =>
    chain.edge(`${lines}${body && `${json}Content-Length: ${body.length}\r\n`}`, `${line} HTTP/1.1`, body);
  for (const lines of [
    "",
    as("guess"),
    "Authorization: Basic YTpi\r\n",
    "Cookie: sandboxd-session=x\r\n",
    `X-Preview-Token: ${hmacToken("main", secret, claimsFor(box.id))}\r\n`,
  ]) {
    const answer = await call(lines, "GET /v1/sandboxes");
    t.equal(statusOf(answer), 401, lines);
    t.equal(bodyOf(answer), '{"error":"unauthorized"}');
  }
  const patch = JSON.stringify({ labels: { a: "b" } });
  for (const [line, body, ...allowed] of [
    ["GET /v1/sandboxes", "", "read", "work", "admin"],
    [`PATCH /v1/sandboxes/${box.id}`, patch, "work", "admin"],
    [`POST /v1/sandboxes/${box.id}/shares`, "{}", "work", "admin"],
    ["GET /v1/audit", "", "admin"],
    ["GET /v1/revocations", "", "admin"],
    ["POST /v1/revocations", JSON.stringify({ jti: "x" }), "admin"],
  ] as const) {
    for (const scope of ["read", "work", "admin"]) {
      const answer = await call(as(`${scope}-secret`), line, body);
      const may = (allowed as readonly string[]).includes(scope);
      t.equal(statusOf(answer) < 400, may, `${line} as ${scope}: ${statusOf(answer)}`);
      if (!may) t.match(JSON.parse(bodyOf(answer)), { error: { code: "forbidden" } });
    }
  }
  for (const path of ["/metrics", "/%6detrics", "/metrics?x"])
    t.equal(statusOf(await call(as("admin-secret"), `GET ${path}`)), 404, path);
  for (const path of ["/healthz", "/readyz", "/llm.txt"]) t.equal(statusOf(await call("", `GET ${path}`)), 200, path);
  t.equal((await chain.api("GET", "/metrics")).status, 200, "loopback has them");
});

t.test("the API host cannot be told that a call is the gateway's or the operator's", async (t) => {
  const chain = await Chain.start(t, { SANDBOXD_API_TOKENS: tokens });
  const forged = [
    "X-Forwarded-For:\r\n",
    "X-Forwarded-For: 127.0.0.1\r\n",
    "X-Real-Ip: 127.0.0.1\r\n",
    "Forwarded: for=127.0.0.1\r\n",
    "X-Forwarded-Host: localhost\r\n",
    "Connection: close, X-Forwarded-For, X-Real-Ip\r\n",
  ];
  for (const lines of forged) t.equal(statusOf(await chain.edge(lines, "GET /v1/sandboxes HTTP/1.1")), 401, lines);
  for (const path of ["/gateway/routes?worker=x", "/gateway/activity", "/gateway/refusals", "/gateway/shares"]) {
    const answer = await chain.edge(as("admin-secret"), `GET ${path} HTTP/1.1`);
    t.equal(statusOf(answer), 404, path);
  }
  for (const host of [gatewayApiHost, gatewayApiHost.toUpperCase(), "localhost", "127.0.0.1"]) {
    const answer = await chain.ask(host, "", "GET /gateway/routes?worker=x HTTP/1.1");
    t.equal(headerOf(answer, "x-sandbox-gateway"), "misdirected", host);
  }
});

t.test("a page in the operator's browser drives nothing on loopback, whatever name it came by", async (t) => {
  const chain = await Chain.start(t);
  const box = await chain.create();
  const stop = `/v1/sandboxes/${box.id}/stop`;
  const attempts: readonly Readonly<Record<string, string>>[] = [
    { host: "rebound.evil.example" },
    { host: `api.preview.${chain.domain}` },
    { host: box.host },
    { host: "localhost.evil.example" },
    { host: "127.0.0.1.nip.io" },
    { origin: "https://evil.example" },
    { origin: `http://${box.host}` },
    { origin: "null" },
    { "sec-fetch-site": "cross-site" },
    { "sec-fetch-site": "same-site" },
  ];
  for (const headers of attempts)
    t.equal((await chain.api("POST", stop, {}, headers)).status, 403, JSON.stringify(headers));
  for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]) {
    t.equal((await chain.api("POST", stop, {}, { "content-type": type })).status, 400, type);
  }
  t.equal((await chain.api("GET", `/v1/sandboxes/${box.id}`)).body.status, "running");
});

t.test("each token has a rate, and a guesser waits longer each time while others do not", async (t) => {
  const chain = await Chain.start(t, { SANDBOXD_API_TOKENS: tokens, SANDBOXD_API_CALLS_PER_SECOND: "2" });
  const list = (lines: string) => chain.edge(lines, "GET /v1/sandboxes HTTP/1.1");
  const answers = await Promise.all(Array.from({ length: 12 }, () => list(as("read-secret"))));
  const refused = answers.filter((answer) => statusOf(answer) === 429);
  t.ok(refused.length >= 4 && refused.length < 12, `${refused.length} of 12 at once`);
  t.match(headerOf(refused[0]!, "retry-after"), /^[1-9]/);
  t.equal(statusOf(await list(as("work-secret"))), 200, "another token has its own");

  const times: number[] = [];
  for (let index = 0; index < 8; index++) {
    const begun = performance.now();
    t.equal(statusOf(await list(as("guess", "203.0.113.66"))), 401);
    times.push(performance.now() - begun);
  }
  t.ok(times[7]! > 390, `the eighth guess took ${times[7]!.toFixed(0)} ms`);
  const slow = list(as("guess", "203.0.113.66"));
  const order: string[] = [];
  await Promise.all([
    slow.then(() => order.push("the guesser")),
    list(as("work-secret", "203.0.113.66")).then((answer) => order.push(`its neighbour ${statusOf(answer)}`)),
    list(as("guess", "203.0.113.67")).then((answer) => order.push(`somebody else ${statusOf(answer)}`)),
  ]);
  t.equal(order.at(-1), "the guesser");
  t.same(order.slice(0, 2).sort(), ["its neighbour 200", "somebody else 401"]);
});

t.test("the audit log has every change and every refusal, with who and from where, and no secret", async (t) => {
  const chain = await Chain.start(t, { SANDBOXD_API_TOKENS: tokens, SANDBOXD_ACTIVITY_FLUSH_MS: "20" });
  const call = (lines: string, line: string, body?: object) => {
    const text = body === undefined ? "" : JSON.stringify(body);
    return chain.edge(`${lines}${text && json}Content-Length: ${text.length}\r\n`, `${line} HTTP/1.1`, text);
  };
  const box = await chain.create({ env: { PASSWORD: "hunter2" } });
  const path = `/v1/sandboxes/${box.id}`;
  const work = as("work-secret");
  const share = JSON.parse(bodyOf(await call(work, `POST ${path}/shares`, { label: "for Bo" })));
  const token = new URL(share.url).searchParams.get("preview_token")!;
  await openSession(box, token);
  await call(work, `PATCH ${path}`, { idle_seconds: 60 });
  await call(work, `POST ${path}/keepalive`, { until: new Date(Date.now() + 60_000).toISOString() });
  await call(work, `POST ${path}/stop`, {});
  await call(work, `POST ${path}/wake`, {});
  await call(work, `POST ${path}/restart`, {});
  await call(work, `DELETE ${path}/shares/${share.id}`);
  await call(as("admin-secret"), "POST /v1/revocations", { subject: "grace" });
  await call(as("read-secret"), `POST ${path}/stop`, {});
  await call(as("hunter3-guess"), `DELETE ${path}`);
  await call(work, `PATCH ${path}`, { no_such_field: "hunter4" });
  await call(as("read-secret"), "GET /v1/sandboxes");
  await chain.reload(`SANDBOXD_PREVIEW_TOKEN_SECRETS=main=${secret}\n`);
  await box.ask(`X-Preview-Token: ${token}\r\nX-Forwarded-For: 198.51.100.77\r\n`);
  const log = async (query = "") => (await chain.api("GET", `/v1/audit${query}`)).body.items;
  while ((await log("?action=preview.open&ip=198.51.100.77")).length === 0);
  await call(work, `DELETE ${path}`);

  type Entry = { action: string; outcome: string; actor: { name: string }; ip: string; detail: object };
  const entries: Entry[] = (await log()).reverse();
  const told = entries
    .filter(({ action, ip }) => action !== "preview.open" || ip === "198.51.100.77")
    .map(({ action, outcome, actor, ip }) => `${actor.name} ${action} ${outcome} ${ip ?? "-"}`);
  t.same(told, [
    "operator sandbox.create done 127.0.0.1",
    "worker share.create done 198.51.100.9",
    "worker sandbox.change done 198.51.100.9",
    "worker sandbox.keepalive done 198.51.100.9",
    "worker sandbox.stop done 198.51.100.9",
    "worker sandbox.wake done 198.51.100.9",
    "worker sandbox.restart done 198.51.100.9",
    "worker share.remove done 198.51.100.9",
    "admin revocation.create done 198.51.100.9",
    "reader sandbox.stop refused 198.51.100.9",
    "unknown sandbox.remove refused 198.51.100.9",
    "worker sandbox.change failed 198.51.100.9",
    "operator settings.reload done -",
    "visitor preview.open refused 198.51.100.77",
    "worker sandbox.remove done 198.51.100.9",
  ]);
  t.match((await log("?action=preview.open&ip=198.51.100.77"))[0], {
    target: box.id,
    detail: { reason: "revoked", credential: "header" },
  });
  t.notMatch(JSON.stringify(entries), /hunter|-secret|for Bo|shr_|eyJ/);
  t.equal((await log("?actor=admin")).length, 1);
  t.equal((await log(`?target=${box.id}&outcome=done&actor=worker`)).length, 8);
  const first = (await chain.api("GET", "/v1/audit?limit=5")).body;
  const second = (await chain.api("GET", `/v1/audit?limit=1000&cursor=${first.next_cursor}`)).body;
  t.equal(first.items.length + second.items.length, entries.length);
  t.equal(second.next_cursor, null);
  const lines = (await chain.api("GET", "/v1/audit?format=ndjson")).body.trimEnd().split("\n");
  t.same(
    lines.map((line: string) => JSON.parse(line).id),
    entries.map((entry) => (entry as unknown as { id: number }).id).reverse(),
  );
  t.equal(statusOf(await box.ask(navigation)), 404, "and the sandbox is gone");

  const database = new Sqlite(join(chain.directory, "state", "sandboxd.db"));
  for (const sql of [
    "UPDATE audit_log SET actor_name = 'eve'",
    "UPDATE OR REPLACE audit_log SET id = 1 WHERE id = 2",
    "DELETE FROM audit_log",
    "DELETE FROM audit_log WHERE id = 1",
    "REPLACE INTO audit_log SELECT * FROM audit_log WHERE id = 1",
    "INSERT INTO audit_log SELECT * FROM audit_log WHERE id = 1 ON CONFLICT DO UPDATE SET actor_name = 'eve'",
  ]) {
    t.throws(() => database.exec(sql), /the audit log is never/, sql);
  }
  database.close();
  t.same((await log()).reverse(), entries, "it is as it was");
});
