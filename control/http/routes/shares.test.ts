import t, { type Test } from "tap";
import type { ShareOutcome } from "#contract/access.ts";
import { appBody, startControl } from "../../testing/control.ts";

async function withSandbox(t: Test) {
  const control = await startControl(t);
  const made = await control.call("POST", "/v1/sandboxes", { body: { ...appBody, visibility: "private" } });
  const path = `/v1/sandboxes/${made.body.id}/shares`;
  const redeem = async (url: string, more: object = {}): Promise<ShareOutcome> => {
    const token = new URL(url).searchParams.get("preview_token");
    const body = { token, id: made.body.id, port: 3000, spend: true, ...more };
    return (await control.callSocket("POST", "/gateway/shares", { body })).body;
  };
  return { control, id: made.body.id as string, path, redeem };
}

t.test("a share has its token in its URL, and there alone", async (t) => {
  const { control, path, id } = await withSandbox(t);
  const made = await control.call("POST", path, {
    body: { ttl_seconds: 60, max_uses: 2, label: "for Bo", port: 3000 },
  });
  t.match(made, { status: 201, body: { port: 3000, max_uses: 2, uses: 0, label: "for Bo", last_used_at: null } });
  const url = new URL(made.body.url);
  t.equal(url.host, `s-${id.toLowerCase()}-3000.preview.localhost`);
  t.match(url.search, /^\?preview_token=shr_[0-9a-z]{26}_[\w-]{43}$/);
  const listed = await control.call("GET", path);
  const { url: _, ...shown } = made.body;
  t.same(listed.body, { items: [shown], next_cursor: null });
  const { items } = (await control.call("GET", "/v1/audit")).body;
  t.match(items[0], { action: "share.create", target: id, detail: { made: made.body.id } });
  t.notOk(JSON.stringify(items).includes(url.searchParams.get("preview_token")!));
  const { Database } = await import("../../sqlite/database.ts");
  const database = new Database(`${control.directory}/state/sandboxd.db`, () => {});
  t.notOk(JSON.stringify(database.all("SELECT * FROM shares")).includes(url.searchParams.get("preview_token")!));
  database.close();
});

t.test("a share's body is checked, and its sandbox must be there", async (t) => {
  const { control, path } = await withSandbox(t);
  for (const body of [{ port: 4000 }, { ttl_seconds: 0 }, { ttl_seconds: 32 * 86_400 }, { max_uses: 0 }, { uses: 1 }]) {
    t.match(await control.call("POST", path, { body }), { status: 400, body: { error: { code: "invalid_request" } } });
  }
  t.equal((await control.call("POST", "/v1/sandboxes/01JB2Q8Z6X3V9K4M7N0P5R1S2T/shares", { body: {} })).status, 404);
});

t.test("a share is used as often as it may be, also by many at once, and says when it was last", async (t) => {
  const { control, path, redeem } = await withSandbox(t);
  const { url } = (await control.call("POST", path, { body: { max_uses: 3 } })).body;
  t.match(await redeem(url, { spend: false }), { outcome: "granted", limited: true });
  const outcomes = await Promise.all(Array.from({ length: 10 }, () => redeem(url)));
  t.equal(outcomes.filter(({ outcome }) => outcome === "granted").length, 3);
  t.match(await redeem(url, { spend: false }), { outcome: "refused", reason: "expired" });
  const [share] = (await control.call("GET", path)).body.items;
  t.match(share, { uses: 3, last_used_at: /^20/ });
});

t.test("a share opens its own sandbox and port alone, and only by the token that was told", async (t) => {
  const { control, path, redeem } = await withSandbox(t);
  const { url } = (await control.call("POST", path, { body: { port: 3000 } })).body;
  t.match(await redeem(url, { port: 4000 }), { reason: "wrong_port" });
  t.match(await redeem(url, { id: "01JB2Q8Z6X3V9K4M7N0P5R1S2T" }), { reason: "wrong_sandbox" });
  const last = url.at(-1) === "A" ? "E" : "A";
  t.match(await redeem(`${url.slice(0, -2)}${last}${url.at(-1)}`), { reason: "bad_signature" });
});

t.test("a share that is deleted opens nothing, and every gateway hears of it", async (t) => {
  const { control, path, redeem } = await withSandbox(t);
  const { url, id } = (await control.call("POST", path, { body: {} })).body;
  const watch = control.watch();
  await watch.next();
  t.equal((await control.call("DELETE", `${path}/${id.toLowerCase()}`)).status, 204);
  t.equal((await control.call("DELETE", `${path}/${id}`)).status, 404);
  t.match(await redeem(url), { outcome: "refused", reason: "revoked" });
  await control.call("PATCH", path.replace("/shares", ""), { body: { idle_seconds: 5 } });
  await watch.next();
  t.match(watch.access, [{ type: "access" }, { type: "revocation", revocation: { kind: "share", share: id } }]);
});

t.test("a sandbox that goes takes its shares with it", async (t) => {
  const { control, path, redeem } = await withSandbox(t);
  const { url, id } = (await control.call("POST", path, { body: {} })).body;
  await control.call("DELETE", path.replace("/shares", ""));
  t.match(await redeem(url), { outcome: "refused" });
  const { items } = (await control.call("GET", "/v1/revocations")).body;
  t.match(items, [{ kind: "share", share: id }]);
});
