/** Two ports of one bridge, in namespaces, on a kernel whose bridges do not ask iptables. */
import t, { type Test } from "tap";
import { missingPart } from "../../e2e/parts/parts.ts";
import { parseCidr } from "./cidr.ts";
import { type EgressRules, renderRules } from "./egress-rules.ts";
import { readTables } from "./egress-tables.ts";
import { Nft } from "./nft.ts";
import { listenIn, type Namespace, openNamespace } from "./testing/namespace.ts";

const subnets = ["172.30.0.0/24", "fd30::/64"].map((text) => parseCidr(text)!);
const rules: EgressRules = {
  ...{ table: "egress_test", mode: "enforce", bridge: "sbx0", subnets, siblingsBy: "subnet", connections: 4_096 },
  ...{ nameServers: [], abuse: [], openToAll: [], openTo: new Map(), now: 0 },
};

/** A sandbox's end of a cable into the bridge. */
async function plugIn(t: Test, host: Namespace, number: number): Promise<Namespace> {
  const sandbox = await openNamespace(t);
  const port = `port${number}`;
  await host.run("ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", sandbox.name);
  await host.run("ip", "link", "set", port, "master", "sbx0", "up");
  await sandbox.run("ip", "addr", "add", `172.30.0.${number}/24`, "dev", "eth0");
  await sandbox.run("ip", "addr", "add", `fd30::${number}/64`, "dev", "eth0", "nodad");
  await sandbox.run("ip", "link", "set", "eth0", "up");
  return sandbox;
}

async function dial(from: Namespace, host: string): Promise<string> {
  const program = `
    const socket = require("node:net").connect({ host: "${host}", port: 3000, timeout: 700 });
    const end = (word) => { console.log(word); process.exit(); };
    socket.once("data", () => end("reached")).once("timeout", () => end("silence")).once("error", ({ code }) => end(code));`;
  return (await from.run(process.execPath, "-e", program)).trim();
}

t.test("siblings are kept apart below IP as well", { skip: missingPart("nftables") }, async (t) => {
  const host = await openNamespace(t);
  await host.run("ip", "link", "add", "sbx0", "type", "bridge");
  await host.run("ip", "link", "set", "sbx0", "up");
  for (const family of ["iptables", "ip6tables"])
    await host.run("sysctl", "-qw", `net.bridge.bridge-nf-call-${family}=0`);
  const [one, other] = [await plugIn(t, host, 5), await plugIn(t, host, 6)];
  await listenIn(t, other.prefix, "::", [3000]);
  const addresses = ["172.30.0.6", "fd30::6"];
  for (const address of addresses) t.equal(await dial(one, address), "reached", `without rules: ${address}`);

  const nft = new Nft([...host.prefix, "nft"], process.env.PATH!);
  await nft.apply(renderRules(rules));
  for (const address of addresses) t.equal(await dial(one, address), "silence", address);
  const { total, bySource } = readTables([
    (await nft.list("inet", "egress_test"))!,
    (await nft.list("bridge", "egress_test"))!,
  ]);
  t.ok(total.sandbox >= 2, `${total.sandbox} packets`);
  t.ok(bySource.get("172.30.0.5")!.sandbox > 0);
  t.ok(bySource.get("fd30::5")!.sandbox > 0);

  await nft.apply(renderRules({ ...rules, mode: "observe" }));
  for (const address of addresses) t.equal(await dial(one, address), "reached", `observed: ${address}`);
});
