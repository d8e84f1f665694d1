import t from "tap";
import { Chain, headerOf, navigation, openSession, reasonOf, statusOf } from "./chain.ts";

/** Links by which anybody who has one sees a private preview. */

const line = (url: string, method = "GET") => `${method} /${new URL(url).search} HTTP/1.1`;
const form =
  "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 0\r\nSec-Fetch-Site: same-origin\r\nOrigin: null\r\n";

t.test("a link opens its sandbox, is listed with its last use, and ends with everything that it opened", async (t) => {
  const chain = await Chain.start(t);
  const box = await chain.create({ external: { user_id: "ada" } });
  const path = `/v1/sandboxes/${box.id}/shares`;
  const made = (await chain.api("POST", path, { label: "for Bo" })).body;
  t.match(made, {
    url: /\?preview_token=shr_/,
    uses: 0,
    max_uses: null,
    port: null,
    last_used_at: null,
    label: "for Bo",
  });
  const day = Date.parse(made.expires_at) - Date.parse(made.created_at);
  t.equal(day, 86_400_000);
  const session = await openSession(box, new URL(made.url).searchParams.get("preview_token")!);
  const seen = await box.ask(session);
  t.equal(statusOf(seen), 200);
  t.notMatch(seen, /x-sandbox-external-user-id/i, "a link names no user");
  const [listed] = (await chain.api("GET", path)).body.items;
  t.match(listed, { id: made.id, uses: 1, last_used_at: /^20/ });
  t.equal(listed.url, undefined, "the link itself is told once");
  t.equal((await chain.api("DELETE", `${path}/${made.id}`)).status, 204);
  t.same((await chain.api("GET", path)).body.items, []);
  let answer = seen;
  while (statusOf(answer) === 200) answer = await box.ask(session);
  t.equal(reasonOf(answer), "revoked");
  t.equal(reasonOf(await box.ask("", line(made.url))), "revoked");
});

t.test("a link is used as often as it may be, by many at once in several workers", async (t) => {
  const chain = await Chain.start(t, { GATEWAY_WORKERS: "2" });
  const box = await chain.create();
  const path = `/v1/sandboxes/${box.id}/shares`;
  const { url } = (await chain.api("POST", path, { max_uses: 3 })).body;
  const page = await box.ask(navigation, line(url));
  t.match([statusOf(page), headerOf(page, "x-sandbox-gateway")], [200, "redeem"]);
  const answers = await Promise.all(
    Array.from({ length: 12 }, (_, index) =>
      index % 2 === 0 ? box.ask("", line(url)) : box.ask(navigation + form, line(url, "POST")),
    ),
  );
  t.equal(answers.filter((answer) => [200, 303].includes(statusOf(answer))).length, 3);
  for (const answer of answers) if (statusOf(answer) === 401) t.match(answer, /expired|used/i);
  t.match((await chain.api("GET", path)).body.items, [{ uses: 3 }]);
});

t.test("a link is for its port, its time and its own sandbox, and for whoever has all of it", async (t) => {
  const chain = await Chain.start(t);
  const [box, other] = [await chain.create({ ports: [3000, 4000] }), await chain.create()];
  const path = `/v1/sandboxes/${box.id}/shares`;
  const { url } = (await chain.api("POST", path, { port: 3000 })).body;
  t.equal(statusOf(await box.ask("", line(url))), 200);
  const elsewhere = box.host.replace("-3000.", "-4000.");
  t.equal(reasonOf(await chain.ask(elsewhere, "", line(url))), "wrong_port");
  t.equal(reasonOf(await other.ask("", line(url))), "wrong_sandbox");
  for (const forged of [url.slice(0, -1), `${url}A`, url.replace(/shr_./, "shr_7"), url.slice(0, -9) + "A".repeat(9)]) {
    t.match(reasonOf(await box.ask("", line(forged))), /bad_signature|malformed/, forged);
  }
  const brief = (await chain.api("POST", path, { ttl_seconds: 3 })).body;
  let answer = await box.ask("", line(brief.url));
  t.equal(statusOf(answer), 200);
  while (statusOf(answer) === 200) answer = await box.ask("", line(brief.url));
  t.equal(reasonOf(answer), "expired");
  t.equal((await chain.api("POST", path, { port: 5000 })).status, 400, "nor for a port that is not declared");
});
