import { readFile } from "node:fs/promises";
import { type Cidr, parseCidr } from "./cidr.ts";

/** systemd's own stub is on loopback: whom it asks is written here, and this is what Docker gives to containers. */
const behindStub = "/run/systemd/resolve/resolv.conf";

/** The name servers that Docker hands on to containers: this machine's, but for those on loopback. */
export async function hostNameServers(file = "/etc/resolv.conf", stubbed = behindStub): Promise<readonly Cidr[]> {
  const own = parseNameServers(await readFile(file, "utf8").catch(() => ""));
  return own.length > 0 ? own : parseNameServers(await readFile(stubbed, "utf8").catch(() => ""));
}

/** resolv.conf(5). */
export function parseNameServers(text: string): readonly Cidr[] {
  return text.split("\n").flatMap((line) => {
    const address = /^\s*nameserver\s+([^\s%]+)/.exec(line)?.[1];
    const block = address === undefined ? undefined : parseCidr(address);
    return block === undefined || /^(?:127\.|::1$)/.test(address!) ? [] : [block];
  });
}
