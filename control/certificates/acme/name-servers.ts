import { Resolver } from "node:dns/promises";
import { isIPv6 } from "node:net";

/** Who answers for a name, by their own names. */
export type Authority = { readonly zone: string; readonly servers: readonly AuthoritativeServer[] };
export type AuthoritativeServer = { readonly name: string; readonly addresses: readonly string[] };

export type NameServersOptions = {
  /** `host:port` of those that look everything up; none: the machine's own. */
  readonly resolvers: readonly string[];
  /** Where authoritative servers answer; 53 unless said otherwise. */
  readonly authoritativePort?: number;
};

const attempt = { timeout: 2000, tries: 2 };

/** What the DNS says, seen by resolvers and by the authoritative servers themselves. */
export class NameServers {
  readonly #resolvers: readonly string[];
  readonly #authoritativePort: number;

  constructor({ resolvers, authoritativePort = 53 }: NameServersOptions) {
    this.#resolvers = resolvers;
    this.#authoritativePort = authoritativePort;
  }

  /** What a name is an alias of, in lower case; undefined when it is none. */
  async aliasOf(name: string, signal: AbortSignal): Promise<string | undefined> {
    const [target] = await this.#ask(signal, (resolver) => resolver.resolveCname(name));
    return target?.toLowerCase();
  }

  /** The zone that a name is in, and who answers for it. Throws when nobody does. */
  async authorityOf(name: string, signal: AbortSignal): Promise<Authority> {
    const labels = name.split(".");
    for (let first = 0; first < labels.length; first++) {
      const zone = labels.slice(first).join(".");
      const [soa] = await this.#ask(signal, async (resolver) => [await resolver.resolveSoa(zone)]);
      // The answer for an alias is that of where it leads.
      if (soa === undefined || (await this.aliasOf(zone, signal)) !== undefined) continue;
      return { zone, servers: await this.#serversOf(zone, signal) };
    }
    throw new Error(`no zone of the DNS holds ${name}`);
  }

  /** The TXT records of a name as the server at this address has them. Throws when it does not answer. */
  async textsAt(address: string, name: string, signal: AbortSignal): Promise<string[]> {
    const place = isIPv6(address) ? `[${address}]` : address;
    const texts = await this.#ask(signal, (resolver) => resolver.resolveTxt(name), [
      `${place}:${this.#authoritativePort}`,
    ]);
    return texts.map((parts) => parts.join(""));
  }

  async #serversOf(zone: string, signal: AbortSignal): Promise<AuthoritativeServer[]> {
    const names = await this.#ask(signal, (resolver) => resolver.resolveNs(zone));
    const servers = names.map(async (name) => {
      const four = await this.#ask(signal, (resolver) => resolver.resolve4(name));
      const six = await this.#ask(signal, (resolver) => resolver.resolve6(name));
      return { name, addresses: [...four, ...six] };
    });
    return Promise.all(servers);
  }

  /** With a resolver of its own for each question: one that is cancelled forgets all of its questions. */
  async #ask<T>(signal: AbortSignal, question: (resolver: Resolver) => Promise<T[]>, servers = this.#resolvers) {
    signal.throwIfAborted();
    const resolver = new Resolver(attempt);
    if (servers.length > 0) resolver.setServers(servers);
    const cancel = () => resolver.cancel();
    signal.addEventListener("abort", cancel);
    try {
      return await question(resolver);
    } catch (error) {
      signal.throwIfAborted();
      if (nothing.has((error as NodeJS.ErrnoException).code ?? "")) return [];
      throw error;
    } finally {
      signal.removeEventListener("abort", cancel);
    }
  }
}

/** No such name, and no such record. */
const nothing = new Set(["ENOTFOUND", "ENODATA"]);
