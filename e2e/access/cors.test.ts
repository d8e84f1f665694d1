import t from "tap";
import { claimsFor, hmacToken } from "../../control/testing/tokens.ts";
import { Chain, headerOf, secret, statusOf } from "./chain.ts";

const builder = "https://builder.example";
const preflight = (origin: string) =>
  `Origin: ${origin}\r\nAccess-Control-Request-Method: PUT\r\nAccess-Control-Request-Headers: x-a\r\n`;
const line = "OPTIONS /a HTTP/1.1";

t.test(
  "a sandbox's list of origins answers preflights at the edge, without a credential and without a wake",
  async (t) => {
    const chain = await Chain.start(t, { SANDBOXD_ACTIVITY_FLUSH_MS: "20" });
    const box = await chain.create();
    const path = `/v1/sandboxes/${box.id}`;
    t.equal(statusOf(await box.ask(preflight(builder), line)), 401, "off by default: it is asked for a credential");
    t.equal((await chain.api("GET", path)).body.cors, null);
    const cors = { origins: [builder], credentials: true, methods: ["PUT"], headers: ["x-a"], max_age_seconds: 60 };
    const patched = await chain.api("PATCH", path, { cors });
    t.match(patched, { status: 200, body: { cors } });
    await chain.api("POST", `${path}/stop`, {});
    const before = (await chain.api("GET", path)).body;
    let answer = await box.ask(preflight(builder), line);
    // The gateway hears of the change a moment after control has answered.
    while (statusOf(answer) === 401) answer = await box.ask(preflight(builder), line);
    t.equal(statusOf(answer), 204);
    t.match(
      ["origin", "credentials", "methods", "headers"].map((name) => headerOf(answer, `access-control-allow-${name}`)),
      [builder, "true", "PUT", "x-a"],
    );
    t.equal(headerOf(answer, "access-control-max-age"), "60");
    for (const origin of [
      "https://evil.example",
      `${builder}.evil.example`,
      "null",
      "http://builder.example",
      `${builder}:8443`,
    ]) {
      const refused = await box.ask(preflight(origin), line);
      t.equal(headerOf(refused, "access-control-allow-origin"), undefined, origin);
    }
    const after = (await chain.api("GET", path)).body;
    t.match(after, { status: "stopped", last_active_at: before.last_active_at });
    t.equal(box.record().filter((each) => each === "start").length, 1);
    t.notOk(box.record().some((each) => each.startsWith("OPTIONS")));

    const token = `X-Preview-Token: ${hmacToken("main", secret, claimsFor(box.id))}\r\n`;
    const served = await box.ask(`${token}Origin: ${builder}\r\n`, "PUT /a HTTP/1.1");
    t.match([statusOf(served), headerOf(served, "access-control-allow-origin")], [200, builder]);
    for (const lines of ["", `Origin: ${builder}\r\n`, "Origin: https://evil.example\r\n"]) {
      t.match(
        headerOf(await box.ask(token + lines), "vary"),
        /Origin/,
        "a cache tells askers apart, whoever came first",
      );
    }
    t.equal(
      headerOf(await box.ask(`${token}Origin: https://evil.example\r\n`), "access-control-allow-origin"),
      undefined,
    );
    await chain.api("PATCH", path, { cors: null });
    let off = await box.ask(preflight(builder), line);
    while (statusOf(off) === 204) off = await box.ask(preflight(builder), line);
    t.equal(statusOf(off), 401, "and off again");
  },
);

t.test("a list of origins is checked when it is made", async (t) => {
  const chain = await Chain.start(t);
  const box = await chain.create();
  for (const cors of [
    { origins: [] },
    { origins: ["*"], credentials: true },
    { origins: ["*", builder] },
    { origins: ["null"] },
    { origins: ["https://a.example/"] },
    { origins: ["https://*.example"] },
    { origins: [builder], methods: ["PUT, X: y"] },
    { origins: [builder], headers: ["x\r\ny"] },
    { origins: [builder], max_age_seconds: -1 },
    { origins: [builder], more: 1 },
  ]) {
    const answer = await chain.api("PATCH", `/v1/sandboxes/${box.id}`, { cors });
    t.match(answer, { status: 400, body: { error: { code: "invalid_request" } } }, JSON.stringify(cors));
  }
});
