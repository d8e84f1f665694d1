import { randomBytes } from "node:crypto";
import type { NameServers } from "./name-servers.ts";

/** As many as resolvers follow. */
const longestChain = 8;

/**
 * The name at which the record has to be for a challenge at `asked`: where its aliases lead (RFC 8555 §8.4). An alias
 * that is there for every name beside it is a wildcard's, which gives way to the record itself, and is not followed.
 */
export async function challengeName(asked: string, nameServers: NameServers, signal: AbortSignal): Promise<string> {
  const chain = [asked.toLowerCase()];
  for (;;) {
    const name = chain.at(-1)!;
    const target = await nameServers.aliasOf(name, signal);
    if (target === undefined || (await isWildcard(name, target, nameServers, signal))) return name;
    if (chain.includes(target) || chain.length > longestChain) {
      throw new Error(`the aliases of ${asked} lead nowhere: ${[...chain, target].join(" → ")}`);
    }
    chain.push(target);
  }
}

async function isWildcard(name: string, target: string, nameServers: NameServers, signal: AbortSignal) {
  const beside = name.replace(/^[^.]*/, `sandboxd-${randomBytes(8).toString("hex")}`);
  return (await nameServers.aliasOf(beside, signal)) === target;
}
