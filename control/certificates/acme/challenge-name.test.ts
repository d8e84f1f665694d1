/** Against a real Knot DNS. */
import t from "tap";
import { missingPart } from "../../../e2e/parts/parts.ts";
import { startKnot } from "../testing/knot.ts";
import { challengeName } from "./challenge-name.ts";
import { NameServers } from "./name-servers.ts";

const { signal } = new AbortController();

t.test("with a name server", { skip: missingPart("knot") }, async (t) => {
  const records = [
    "_acme-challenge.preview.aliased 1 CNAME Middle",
    "middle 1 CNAME challenges.a",
    "*.preview.wild 1 CNAME ns1",
    "_acme-challenge.preview.loop 1 CNAME back.loop",
    "back.loop 1 CNAME _acme-challenge.preview.loop",
    "_acme-challenge.preview.outside 1 CNAME challenges.example.org.",
    "_acme-challenge.preview.both 1 CNAME challenges.b",
    "*.preview.both 1 CNAME ns1",
  ];
  const knot = await startKnot(t, { records: records.join("\n") });
  const nameServers = new NameServers({ resolvers: [knot.address], authoritativePort: knot.port });
  const nameOf = (domain: string) =>
    challengeName(`_acme-challenge.preview.${domain}.example.com`, nameServers, signal);

  t.test("challengeName() is the name itself without an alias", async (t) => {
    t.equal(await nameOf("plain"), "_acme-challenge.preview.plain.example.com");
  });

  t.test("challengeName() follows aliases to their end", async (t) => {
    t.equal(await nameOf("aliased"), "challenges.a.example.com");
    t.equal(await nameOf("both"), "challenges.b.example.com");
  });

  t.test("challengeName() does not follow a wildcard, which the record will hide", async (t) => {
    t.equal(await nameOf("wild"), "_acme-challenge.preview.wild.example.com");
  });

  t.test("challengeName() names the aliases that lead nowhere", async (t) => {
    await t.rejects(nameOf("loop"), { message: /lead nowhere: .* → back\.loop\.example\.com → _acme-challenge/ });
  });

  t.test("challengeName() says when an alias leads to a name that cannot be looked up", async (t) => {
    await t.rejects(nameOf("outside"), { message: /REFUSED challenges.example.org/ });
  });

  t.test("authorityOf() finds the zone and who answers for it", async (t) => {
    const authority = { zone: "example.com", servers: [{ name: "ns1.example.com", addresses: ["127.0.0.1"] }] };
    t.strictSame(await nameServers.authorityOf("_acme-challenge.preview.plain.example.com", signal), authority);
    t.strictSame(await nameServers.authorityOf("middle.example.com", signal), authority);
  });

  t.test("textsAt() ends with its signal", async (t) => {
    const gone = new NameServers({ resolvers: [], authoritativePort: 1 });
    const abort = new AbortController();
    const texts = gone.textsAt("192.0.2.1", "a.example.com", abort.signal);
    abort.abort();
    await t.rejects(texts, { name: "AbortError" });
  });
});
