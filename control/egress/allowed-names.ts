import { Resolver } from "node:dns/promises";
import type { Logger } from "pino";
import { type Cidr, parseCidr } from "./cidr.ts";

/** An address of a name, good until then. */
export type NamedAddress = { readonly address: Cidr; readonly until: number };

/** The addresses of a name with their TTLs in seconds. Rejects when it cannot be looked up now. */
export type LookUp = (name: string) => Promise<readonly { readonly address: string; readonly ttl: number }[]>;

const shortestTtlSeconds = 5;
const longestTtlSeconds = 3600;
/** An answer may be this late without closing what is open. */
const graceSeconds = 60;
const retrySeconds = 10;

type Entry = { addresses: readonly NamedAddress[]; dueAt: number };

/** The names on allow lists, looked up again whenever their TTL is over. */
export class AllowedNames {
  readonly #lookUp: LookUp;
  readonly #logger: Logger;
  readonly #now: () => number;
  readonly #entries = new Map<string, Entry>();

  constructor({ lookUp, logger, now }: { lookUp: LookUp; logger: Logger; now: () => number }) {
    this.#lookUp = lookUp;
    this.#logger = logger;
    this.#now = now;
  }

  /** From now on these names count and no others. */
  keep(names: ReadonlySet<string>): void {
    for (const name of this.#entries.keys()) if (!names.has(name)) this.#entries.delete(name);
    for (const name of names) if (!this.#entries.has(name)) this.#entries.set(name, { addresses: [], dueAt: 0 });
  }

  addresses(name: string): readonly NamedAddress[] {
    const now = this.#now();
    return (this.#entries.get(name)?.addresses ?? []).filter(({ until }) => until > now);
  }

  /** Looks up what is due. Resolves with whether anything is different or lasts longer than before. */
  async refresh(): Promise<boolean> {
    const now = this.#now();
    const due = [...this.#entries].filter(([, { dueAt }]) => dueAt <= now);
    const news = await Promise.all(due.map(([name, entry]) => this.#refreshOne(name, entry)));
    return news.includes(true);
  }

  /** What was told before stays until its time is over: a name with many addresses tells some of them at a time. */
  async #refreshOne(name: string, entry: Entry): Promise<boolean> {
    try {
      const answers = await this.#lookUp(name);
      const now = this.#now();
      const ttls = answers.map(({ ttl }) => Math.min(Math.max(ttl, shortestTtlSeconds), longestTtlSeconds));
      const told = answers.flatMap(({ address }, index) => {
        const parsed = parseCidr(address);
        return parsed === undefined ? [] : [{ address: parsed, until: now + (ttls[index]! + graceSeconds) * 1000 }];
      });
      const isTold = (old: NamedAddress) => told.some(({ address }) => address.first === old.address.first);
      entry.addresses = [...told, ...entry.addresses.filter((old) => old.until > now && !isTold(old))];
      entry.dueAt = now + Math.min(...ttls, longestTtlSeconds) * 1000;
      return true;
    } catch (error) {
      this.#logger.warn({ name, reason: (error as Error).message }, "a name on an allow list cannot be looked up");
      entry.dueAt = this.#now() + retrySeconds * 1000;
      return false;
    }
  }
}

/** Asks name servers, this machine's own unless others are given as `host:port`, for both kinds of addresses. */
export function systemLookUp(servers?: readonly string[]): LookUp {
  const resolver = new Resolver({ timeout: 2_000, tries: 2 });
  if (servers !== undefined) resolver.setServers(servers);
  return async (name) => {
    const asked = await Promise.allSettled([
      resolver.resolve4(name, { ttl: true }),
      resolver.resolve6(name, { ttl: true }),
    ]);
    const answers = asked.flatMap((each) => (each.status === "fulfilled" ? each.value : []));
    if (answers.length > 0) return answers;
    throw asked.find((each) => each.status === "rejected")?.reason ?? new Error("It has no address");
  };
}
