import t from "tap";
import { missingPart } from "../../e2e/parts/parts.ts";
import { parseCidr } from "./cidr.ts";
import { parseDestination } from "./destination.ts";
import { type EgressRules, renderRemoval, renderRules } from "./egress-rules.ts";
import { readTables } from "./egress-tables.ts";
import { Nft } from "./nft.ts";
import { openNamespace } from "./testing/namespace.ts";

const cidr = (text: string) => parseCidr(text)!;
const opening = (text: string, until: number | null = null) => {
  const { host, port } = parseDestination(text)!;
  return { to: host as ReturnType<typeof cidr>, port, until };
};

const rules: EgressRules = {
  table: "egress_test",
  mode: "enforce",
  bridge: "sbx0",
  subnets: [cidr("172.30.0.0/24"), cidr("fd30::/64")],
  siblingsBy: "subnet",
  nameServers: [cidr("10.0.0.2"), cidr("fd00::53")],
  connections: 64,
  abuse: [cidr("203.0.113.0/24")],
  openToAll: [opening("192.168.7.7:443")],
  openTo: new Map([
    ["172.30.0.5", [opening("10.1.0.0/16"), opening("10.1.2.3"), opening("10.2.0.1:5432", 91_000)]],
    ["fd30::5", [opening("[fd01::/64]:80")]],
  ]),
  now: 1_000,
};

const lines = (changes: Partial<EgressRules> = {}) => renderRules({ ...rules, ...changes }).split("\n");
const rulesOf = (chain: string, changes?: Partial<EgressRules>) =>
  lines(changes).flatMap((line) => line.split(`add rule ${chain} `)[1] ?? []);

t.test("renderRules() judges what goes on to other networks, in this order", async (t) => {
  t.same(rulesOf("inet egress_test egress"), [
    "ct direction reply accept",
    "ct state new add @open_connections4 { ip saddr ct count over 64 } goto to_flood",
    "ct state new add @open_connections6 { ip6 saddr ct count over 64 } goto to_flood",
    "meta l4proto { tcp, udp } ip daddr @names4 th dport 53 accept",
    "meta l4proto { tcp, udp } ip6 daddr @names6 th dport 53 accept",
    "ip daddr @open4 accept",
    "ip6 daddr @open6 accept",
    "meta l4proto { tcp, udp } ip daddr . th dport @open_ports4 accept",
    "meta l4proto { tcp, udp } ip6 daddr . th dport @open_ports6 accept",
    "ip daddr @metadata4 goto to_metadata",
    "ip6 daddr @metadata6 goto to_metadata",
    'oifname "sbx0" goto to_sandbox',
    "ip saddr . ip daddr @allowed4 accept",
    "ip6 saddr . ip6 daddr @allowed6 accept",
    "meta l4proto { tcp, udp } ip saddr . ip daddr . th dport @allowed_ports4 accept",
    "meta l4proto { tcp, udp } ip6 saddr . ip6 daddr . th dport @allowed_ports6 accept",
    "ip daddr @abuse4 goto to_abuse",
    "ip6 daddr @abuse6 goto to_abuse",
    "ip daddr @private4 goto to_private",
    "ip6 daddr @private6 goto to_private",
    "tcp dport { 25, 465, 587 } goto to_smtp",
  ]);
});

t.test("renderRules() has no allow list lead to this machine", async (t) => {
  const local = rulesOf("inet egress_test local");
  t.equal(local.at(-1), "goto to_host");
  t.notOk(local.some((rule) => rule.includes("@allowed")));
});

t.test("renderRules() hooks into what comes from the bridge alone, before other firewalls", async (t) => {
  t.same(rulesOf("inet egress_test forward"), ['iifname "sbx0" jump egress']);
  t.same(rulesOf("inet egress_test input"), ['iifname "sbx0" jump local']);
  const hook = (name: string) => `{ type filter hook ${name} priority -10; policy accept; }`;
  t.ok(lines().includes(`add chain inet egress_test forward ${hook("forward")}`));
  t.ok(lines().includes(`add chain inet egress_test input ${hook("input")}`));
  t.ok(lines().includes(`add chain bridge egress_test forward ${hook("forward")}`));
});

t.test("renderRules() tells siblings by their bridge or by their subnets", async (t) => {
  t.same(rulesOf("bridge egress_test forward"), [
    "ip saddr 172.30.0.0/24 ip daddr 172.30.0.0/24 goto to_sandbox",
    "ip6 saddr fd30::/64 ip6 daddr fd30::/64 goto to_sandbox",
  ]);
  t.same(rulesOf("bridge egress_test forward", { siblingsBy: "name" }), ['meta ibrname "sbx0" goto to_sandbox']);
});

t.test("renderRules() counts by reason and by source, and drops only to enforce", async (t) => {
  t.same(rulesOf("inet egress_test to_smtp"), [
    "update @seen_smtp4 { ip saddr counter }",
    "update @seen_smtp6 { ip6 saddr counter }",
    "counter name smtp drop",
  ]);
  t.equal(rulesOf("inet egress_test to_smtp", { mode: "observe" }).at(-1), "counter name smtp accept");
  t.notOk(lines({ mode: "observe" }).some((line) => /\bdrop\b/.test(line)));
  t.same(rulesOf("inet egress_test to_sandbox", { mode: "observe" }), ["accept"], "the bridge counts it");
});

t.test("renderRules() opens to each source what it may reach, and for so long", async (t) => {
  const elements = (set: string, changes?: Partial<EgressRules>) =>
    lines(changes)
      .find((line) => line.startsWith(`add element inet egress_test ${set} `))
      ?.split(`${set} `)[1];
  t.equal(elements("allowed4"), "{ 172.30.0.5 . 10.1.0.0/16 }", "what is within another one is left out");
  t.equal(elements("allowed_ports4"), "{ 172.30.0.5 . 10.2.0.1 . 5432 timeout 90s }");
  t.equal(elements("allowed_ports4", { now: 91_000 }), undefined, "its time is over");
  t.equal(elements("allowed_ports6"), "{ fd30::5 . fd01::/64 . 80 }");
  t.equal(elements("open_ports4"), "{ 192.168.7.7 . 443 }");
});

t.test("nft takes what is rendered, again and again, in every form", { skip: missingPart("nftables") }, async (t) => {
  const namespace = await openNamespace(t);
  const nft = new Nft([...namespace.prefix, "nft"], process.env.PATH!);
  const read = async () =>
    readTables([(await nft.list("inet", "egress_test"))!, (await nft.list("bridge", "egress_test"))!]);
  await nft.apply(renderRules(rules));
  const { fingerprint } = await read();
  await nft.apply(renderRules(rules));
  t.equal((await read()).fingerprint, fingerprint, "the same rules are the same");
  await nft.apply(renderRules({ ...rules, openTo: new Map() }));
  t.equal((await read()).fingerprint, fingerprint, "an allow list is no part of it");
  await nft.apply(renderRules({ ...rules, mode: "observe" }));
  t.not((await read()).fingerprint, fingerprint, "another verdict is another thing");
  await nft.apply(renderRules({ ...rules, abuse: [] }));
  t.not((await read()).fingerprint, fingerprint, "so is another list");
  await nft.apply(renderRemoval("egress_test"));
  t.equal(await nft.list("inet", "egress_test"), undefined);
  t.equal(await nft.list("bridge", "egress_test"), undefined);
  await nft.apply(renderRemoval("egress_test"));
});
