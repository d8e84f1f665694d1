import t from "tap";
import { missingPart } from "../../../e2e/parts/parts.ts";
import { acmeConfig, openAcme } from "../testing/acme.ts";
import { startAcmeDns } from "../testing/acme-dns.ts";
import { startKnot } from "../testing/knot.ts";
import { startPebble } from "../testing/pebble.ts";

t.test("with an acme-dns server", { skip: missingPart("pebble", "knot") }, async (t) => {
  const knot = await startKnot(t);
  const pebble = await startPebble(t, { nameServer: knot.address });
  const server = await startAcmeDns(t, knot);
  const dns = { method: "acme-dns", url: server.url, account: null } as const;
  const config = acmeConfig(knot, pebble.directoryUrl, { dns });
  const alias = (name: string, target: string) =>
    knot.update(`add _acme-challenge.preview.${name}.example.com. 1 CNAME ${target}.`);

  t.test("present() registers once, says which CNAME is missing, and goes on when it is there", async (t) => {
    const acme = await openAcme(t, knot, config, "fresh");
    t.equal(await acme.turn(), false);
    const { fulldomain } = server.accounts.at(-1)!;
    const message = `_acme-challenge.preview.fresh.example.com must be a CNAME of ${fulldomain} (it is no alias)`;
    t.equal(acme.source.status().lastError?.message, message);
    await alias("fresh", fulldomain);
    acme.at(1);
    t.equal(await acme.turn(), true);
    t.equal(server.accounts.length, 1);
    t.equal(server.accounts[0]!.values.length, 1);
  });

  t.test("present() uses the account that the operator names", async (t) => {
    const account = JSON.parse(await (await fetch(`${server.url}/register`, { method: "POST", body: "{}" })).text());
    await alias("named", account.fulldomain);
    const acme = await openAcme(t, knot, { ...config, dns: { ...dns, account } }, "named");
    t.equal(await acme.turn(), true);
    t.equal(server.accounts.length, 2);
    const wrong = { ...account, password: "wrong" };
    const refused = await acme.restart({ dns: { ...dns, account: wrong }, profile: "shortlived" });
    t.equal(await refused.turn(), false);
    t.match(refused.source.status().lastError?.message, /\/update answers 401: .*forbidden/);
  });

  t.test("present() says where an alias leads that leads elsewhere", async (t) => {
    await alias("astray", "other.auth.example.com");
    const acme = await openAcme(t, knot, config, "astray");
    t.equal(await acme.turn(), false);
    t.match(acme.source.status().lastError?.message, /\(it leads to other\.auth\.example\.com\)$/);
  });

  t.test("present() says that the server does not answer", async (t) => {
    const acme = await openAcme(t, knot, { ...config, dns: { ...dns, url: "http://127.0.0.1:1" } }, "gone");
    t.equal(await acme.turn(), false);
    t.match(acme.source.status().lastError?.message, "http://127.0.0.1:1/register does not answer");
  });
});
