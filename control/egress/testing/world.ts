import { randomInt } from "node:crypto";
import type { Test } from "tap";
import { listenIn, openNamespace, run } from "./namespace.ts";

/** Addresses outside of this machine that a test owns: a namespace has them all, and nothing leaves for elsewhere. */
export type World = {
  /** By what they are, at random within their block so that tests do not meet. */
  readonly at: Readonly<Record<keyof typeof blocks, string>>;
  /** This machine's own end of the cable. */
  readonly host: { readonly v4: string; readonly v6: string };
};

const byte = () => String(randomInt(1, 255));
const group = () => randomInt(1, 0xffff).toString(16);

const blocks = {
  public: () => `198.51.100.${byte()}`,
  mail: () => `203.0.113.${byte()}`,
  abusive: () => `192.0.2.${byte()}`,
  metadata: () => `169.254.${byte()}.${byte()}`,
  ten: () => `10.${byte()}.${byte()}.${byte()}`,
  carrier: () => `100.100.${byte()}.${byte()}`,
  oneSevenTwo: () => `172.29.${byte()}.${byte()}`,
  home: () => `192.168.${byte()}.${byte()}`,
  nameServer: () => `10.${byte()}.${byte()}.${byte()}`,
  public6: () => `2001:db8:1:${group()}::${group()}`,
  mail6: () => `2001:db8:2:${group()}::${group()}`,
  metadata6: () => `64:ff9b::a9fe:${group()}`,
  unique6: () => `fd12:${group()}:${group()}::${group()}`,
  nameServer6: () => `fd13:${group()}:${group()}::${group()}`,
} as const;

export const worldPorts = [25, 53, 80, 465, 587] as const;

/** Opens a world that this machine forwards packets of sandboxes to, until the test ends. */
export async function openWorld(t: Test): Promise<World> {
  const { name, prefix, run: inside } = await openNamespace(t);
  const [link, peer] = [`${name.slice(-8)}a`, `${name.slice(-8)}b`];
  await run("ip", "link", "add", link, "type", "veth", "peer", "name", peer, "netns", name);
  const [x, y] = [byte(), randomInt(1, 60) * 4];
  const host = { v4: `198.18.${x}.${y + 1}`, v6: `2001:db8:ffff:${x}::1` };
  const far = { v4: `198.18.${x}.${y + 2}`, v6: `2001:db8:ffff:${x}::2` };
  await run("ip", "addr", "add", `${host.v4}/30`, "dev", link);
  await run("ip", "addr", "add", `${host.v6}/64`, "dev", link, "nodad");
  await run("ip", "link", "set", link, "up");
  await run("sysctl", "-qw", `net.ipv6.conf.${link}.forwarding=1`);
  await inside("ip", "addr", "add", `${far.v4}/30`, "dev", peer);
  await inside("ip", "addr", "add", `${far.v6}/64`, "dev", peer, "nodad");
  for (const device of [peer, "lo"]) await inside("ip", "link", "set", device, "up");
  await inside("ip", "route", "add", "default", "via", host.v4);
  await inside("ip", "-6", "route", "add", "default", "via", host.v6);
  const at = Object.fromEntries(Object.entries(blocks).map(([what, make]) => [what, make()])) as World["at"];
  for (const address of Object.values(at)) {
    const [bits, via, family] = address.includes(":") ? [128, far.v6, "-6"] : [32, far.v4, "-4"];
    await inside("ip", "addr", "add", `${address}/${bits}`, "dev", "lo");
    await run("ip", String(family), "route", "add", `${address}/${bits}`, "via", String(via));
  }
  await listenIn(t, prefix, "::", worldPorts);
  return { at, host };
}
