import t, { type Test } from "tap";
import { missingPart } from "../../e2e/parts/parts.ts";
import { newId } from "../engines/engine-under-test.ts";
import { silent } from "../testing/fixture.ts";
import { parseCidr } from "./cidr.ts";
import { parseDestination } from "./destination.ts";
import type { EgressConfig } from "./egress-config.ts";
import { EgressGuard, type EgressGuardOptions } from "./egress-guard.ts";
import { Nft } from "./nft.ts";
import { openNamespace } from "./testing/namespace.ts";

const enforce: EgressConfig & { mode: "enforce" } = {
  mode: "enforce",
  block: [],
  allow: [],
  connections: 4_096,
  nameServers: null,
};
const path = process.env.PATH!;
const allow = (...texts: string[]) => texts.map((text) => parseDestination(text)!);

function guard(nft: Nft, options: Partial<EgressGuardOptions> = {}): EgressGuard {
  return new EgressGuard({
    config: enforce,
    table: "egress_test",
    nft,
    network: async () => ({ bridge: "sbx0", subnets: ["172.30.0.0/24"] }),
    nameServers: async () => [parseCidr("10.0.0.2")!],
    lookUp: async () => [{ address: "10.9.9.9", ttl: 30 }],
    logger: silent,
    now: Date.now,
    ...options,
  });
}

async function inNamespace(t: Test) {
  const namespace = await openNamespace(t);
  const nft = new Nft([...namespace.prefix, "nft"], path);
  const list = async () => namespace.run("nft", "-nn", "list", "table", "inet", "egress_test").catch(() => "");
  return { namespace, nft, list };
}

t.test("EgressGuard has no sandbox start without rules, and says why", async (t) => {
  const it = guard(new Nft(["no-such-nft"], path));
  const refusal = {
    code: "start_failed",
    message: "Sandboxes do not start without egress rules: no-such-nft is not installed",
  };
  await t.rejects(it.ready(), refusal);
  t.match(it.status(), { mode: "enforce", installed: false, problem: "no-such-nft is not installed" });
});

t.test("EgressGuard only tells what is wrong when it observes", async (t) => {
  const it = guard(new Nft(["no-such-nft"], path), { config: { ...enforce, mode: "observe" } });
  await it.ready();
  t.match(it.status(), { installed: false, problem: "no-such-nft is not installed" });
});

t.test(
  "EgressGuard has sandboxes start as soon as the rules can be installed",
  { skip: missingPart("nftables") },
  async (t) => {
    const { nft } = await inNamespace(t);
    let away = true;
    const network = async () => {
      if (away) throw new Error("no engine");
      return { bridge: "sbx0", subnets: ["172.30.0.0/24"] };
    };
    const it = guard(nft, { network });
    await t.rejects(it.ready(), { message: /no engine/ });
    away = false;
    await it.ready();
    t.match(it.status(), { installed: true, problem: null, bridge: "sbx0", nameServers: ["10.0.0.2"] });
  },
);

t.test(
  "EgressGuard finds out that rules were taken away, or changed, and puts them back",
  { skip: missingPart("nftables") },
  async (t) => {
    const { namespace, nft, list } = await inNamespace(t);
    const it = guard(nft);
    await it.turn();
    const installed = await list();
    t.match(installed, /goto to_private/);
    await it.turn();
    t.match(it.status(), { installed: true, reinstalls: 0, lastReinstallAt: null });
    const meddling = [
      ["flush", "ruleset"],
      ["delete", "table", "bridge", "egress_test"],
      ["flush", "chain", "inet", "egress_test", "egress"],
      ["insert", "rule", "inet", "egress_test", "egress", "accept"],
      ["delete", "element", "inet", "egress_test", "private4", "{ 10.0.0.0/8 }"],
    ];
    for (const [index, command] of meddling.entries()) {
      await namespace.run("nft", ...command);
      await it.turn();
      t.equal(await list(), installed, command.join(" "));
      t.match(it.status(), { installed: true, reinstalls: index + 1, lastReinstallAt: Number });
    }
  },
);

t.test("EgressGuard looks for its rules with each start", { skip: missingPart("nftables") }, async (t) => {
  const { namespace, nft, list } = await inNamespace(t);
  const it = guard(nft);
  await it.ready();
  const installed = await list();
  await namespace.run("nft", "flush", "ruleset");
  await Promise.all([it.ready(), it.ready()]);
  await it.close();
  t.equal(await list(), installed);
  t.match(it.status(), { installed: true, reinstalls: 1 });
});

t.test(
  "EgressGuard takes over tables that do not go together with its own",
  { skip: missingPart("nftables") },
  async (t) => {
    const { namespace, nft, list } = await inNamespace(t);
    await namespace.run("nft", "add table inet egress_test; add set inet egress_test names4 { type ipv6_addr; }");
    await guard(nft).ready();
    t.match(await list(), /goto to_private/);
  },
);

t.test(
  "EgressGuard opens what a sandbox may reach, and closes it when it ends",
  { skip: missingPart("nftables") },
  async (t) => {
    const { nft, list } = await inNamespace(t);
    const it = guard(nft);
    const id = newId();
    await it.open(id, ["172.30.0.5"], allow("10.1.0.0/16", "db.internal:5432"));
    t.match(await list(), /172\.30\.0\.5 \. 10\.1\.0\.0\/16/);
    t.match(await list(), /172\.30\.0\.5 \. 10\.9\.9\.9 \. 5432 timeout 90s/);
    t.match(it.of(id), { names: [{ name: "db.internal", addresses: [{ address: "10.9.9.9" }] }] });
    await it.allow(id, allow("10.2.0.0/16"));
    t.match(await list(), /172\.30\.0\.5 \. 10\.2\.0\.0\/16/);
    t.notMatch(await list(), /10\.1\.0\.0|10\.9\.9\.9/);
    it.end(id);
    await it.close();
    t.notMatch(await list(), /172\.30\.0\.5/);
  },
);

t.test("EgressGuard gives nothing to whoever has an address next", { skip: missingPart("nftables") }, async (t) => {
  const { nft, list } = await inNamespace(t);
  const it = guard(nft);
  const [first, second] = [newId(), newId()];
  await it.open(first, ["172.30.0.5"], allow("10.1.0.0/16"));
  await it.open(second, ["172.30.0.5"], []);
  t.notMatch(await list(), /172\.30\.0\.5/);
  it.end(first);
  await it.close();
  t.notMatch(await list(), /172\.30\.0\.5/);
});
