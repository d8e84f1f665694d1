import type { Logger } from "pino";
import type { SandboxId } from "#contract/sandbox-id.ts";
import { EngineError, type EngineNetwork } from "../engines/sandbox-engine.ts";
import { AllowedNames, type LookUp } from "./allowed-names.ts";
import { type Cidr, formatCidr, parseCidr } from "./cidr.ts";
import type { Destination, Opening } from "./destination.ts";
import type { Egress, EgressStatus, SandboxEgress } from "./egress.ts";
import type { EgressConfig } from "./egress-config.ts";
import { type EgressRules, renderRemoval, renderRules } from "./egress-rules.ts";
import { type EgressTables, nothingCounted, plus, readTables, since } from "./egress-tables.ts";
import type { Counts } from "./forbidden.ts";
import type { Nft } from "./nft.ts";

export type EgressGuardOptions = {
  readonly config: EgressConfig & { readonly mode: "enforce" | "observe" };
  readonly table: string;
  readonly nft: Nft;
  /** Where packets of sandboxes come from. */
  readonly network: () => Promise<EngineNetwork>;
  readonly nameServers: () => Promise<readonly Cidr[]>;
  readonly lookUp: LookUp;
  readonly logger: Logger;
  /** Epoch milliseconds. */
  readonly now: () => number;
};

/** A name that answers later opens a little later: no start waits for it longer. */
const namePatienceMs = 1_000;

type Known = {
  readonly addresses: readonly string[];
  readonly allow: readonly Destination[];
};

/**
 * Keeps our tables in the kernel as they should be. Every change is a new rendering of all of it, applied at once and one
 * after the other; `turn()` looks whether it is still there.
 */
export class EgressGuard implements Egress {
  readonly #options: EgressGuardOptions;
  readonly #names: AllowedNames;
  readonly #known = new Map<SandboxId, Known>();
  readonly #blockedOf = new Map<SandboxId, Counts>();
  #blocked: Counts = nothingCounted;
  #seen: Pick<EgressTables, "total" | "bySource"> = { total: nothingCounted, bySource: new Map() };
  #place: Pick<EgressRules, "bridge" | "subnets" | "nameServers"> | undefined;
  #siblingsBy: EgressRules["siblingsBy"] = "name";
  /** Of the tables as they were right after they were installed. */
  #fingerprint: string | undefined;
  /** What is in the way of the rules; null when they are there. */
  #failure: Error | null = new Error("the rules were not installed yet");
  #reinstalls = 0;
  #lastReinstallAt: number | null = null;
  #work: Promise<unknown> = Promise.resolve();
  /** An installation that has not begun yet: it takes everything with it that changes until then. */
  #due: Promise<void> | undefined;
  /** The same of a look. */
  #dueCheck: Promise<void> | undefined;

  constructor(options: EgressGuardOptions) {
    this.#options = options;
    this.#names = new AllowedNames(options);
  }

  async ready(): Promise<void> {
    const looked = this.#checkSoon();
    // A look takes a fifth of the time in which a container starts: a loss is made good before the app is there.
    if (this.#failure === null) return;
    await looked;
    const failure: Error | null = this.#failure;
    if (failure === null || this.#options.config.mode === "observe") return;
    // An engine that is away is no fault of the rules.
    if (failure instanceof EngineError) throw failure;
    const message = `Sandboxes do not start without egress rules: ${failure.message}`;
    throw new EngineError("start_failed", message, { cause: failure });
  }

  async open(id: SandboxId, addresses: readonly string[], allow: readonly Destination[]): Promise<void> {
    const before = this.#known.get(id);
    const strangers = [...this.#known].filter(([other, known]) => other !== id && shares(known.addresses, addresses));
    for (const [other] of strangers) this.#known.delete(other);
    this.#known.set(id, { addresses, allow });
    const isOpen = [before, ...strangers.map(([, known]) => known)].some((known) => known && known.allow.length > 0);
    if (isOpen || allow.length > 0) await this.#reopen();
  }

  async allow(id: SandboxId, allow: readonly Destination[]): Promise<void> {
    const known = this.#known.get(id);
    if (known === undefined) return;
    this.#known.set(id, { ...known, allow });
    await this.#reopen();
  }

  end(id: SandboxId): void {
    const known = this.#known.get(id);
    if (known === undefined) return;
    // What it did until now is its own, so the counts are read before its addresses are somebody else's.
    void this.#oneByOne(async () => {
      await this.#look();
      if (this.#known.get(id) !== known) return;
      this.#known.delete(id);
      if (known.allow.length > 0) await this.#install();
    });
  }

  forget(id: SandboxId): void {
    this.#blockedOf.delete(id);
  }

  async turn(): Promise<void> {
    const isNews = await this.#names.refresh();
    await this.#oneByOne(async () => {
      const place = await this.#findPlace().catch(() => undefined);
      const isElsewhere =
        place !== undefined && JSON.stringify(place, withBigInts) !== JSON.stringify(this.#place, withBigInts);
      await this.#check(isNews || isElsewhere);
    });
  }

  status(): EgressStatus {
    return {
      mode: this.#options.config.mode,
      installed: this.#failure === null,
      problem: this.#failure?.message ?? null,
      table: this.#options.table,
      bridge: this.#place?.bridge ?? null,
      subnets: this.#place?.subnets.map(formatCidr) ?? [],
      nameServers: this.#place?.nameServers.map(formatCidr) ?? [],
      reinstalls: this.#reinstalls,
      lastReinstallAt: this.#lastReinstallAt,
      blocked: this.#blocked,
    };
  }

  of(id: SandboxId): SandboxEgress {
    const names = namesOf(this.#known.get(id)?.allow ?? []);
    return {
      blocked: this.#blockedOf.get(id) ?? nothingCounted,
      names: names.map((name) => ({
        name,
        addresses: this.#names.addresses(name).map(({ address, until }) => ({ address: formatCidr(address), until })),
      })),
    };
  }

  async close(): Promise<void> {
    await this.#work;
  }

  async #reopen(): Promise<void> {
    this.#names.keep(new Set(this.#allNames()));
    const looked = this.#names.refresh();
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, namePatienceMs);
    await Promise.race([looked, late.promise]);
    clearTimeout(timer);
    await this.#installSoon();
    // What was late comes into force with its answer.
    void looked.then((isNews) => (isNews ? this.#installSoon() : undefined));
  }

  /** A firewall may have been loaded anew since the last look. Starts that come together share one look. */
  #checkSoon(): Promise<void> {
    this.#dueCheck ??= this.#oneByOne(async () => {
      this.#dueCheck = undefined;
      await this.#check(false);
    });
    return this.#dueCheck;
  }

  /** Looks whether the tables are what they should be, and makes them so; in any case when there is news. */
  async #check(isNews: boolean): Promise<void> {
    const isIntact = await this.#look();
    const isLost = this.#failure === null && !isIntact;
    if (isLost) this.#reportLoss();
    if (isNews || !isIntact || this.#failure !== null) await this.#install();
    if (isLost && this.#failure === null) this.#reinstalls += 1;
  }

  #installSoon(): Promise<void> {
    this.#due ??= this.#oneByOne(async () => {
      this.#due = undefined;
      await this.#install();
    });
    return this.#due;
  }

  #oneByOne<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#work.then(work);
    this.#work = done.catch((error) =>
      this.#options.logger.error({ err: error }, "a change of the egress rules failed"),
    );
    return done;
  }

  async #install(): Promise<void> {
    const { logger } = this.#options;
    const before = this.#failure?.message;
    try {
      this.#names.keep(new Set(this.#allNames()));
      this.#place = await this.#findPlace();
      await this.#apply(this.#place);
      this.#fingerprint = (await this.#read())?.fingerprint;
      this.#failure = this.#fingerprint === undefined ? new Error("the rules went as soon as they were there") : null;
    } catch (error) {
      this.#failure = error as Error;
    }
    if (this.#failure?.message === before) return;
    if (this.#failure === null) logger.info({ table: this.#options.table }, "the egress rules are installed");
    else logger.error({ reason: this.#failure.message }, "the egress rules cannot be installed");
  }

  /** What an earlier version left may not go together with what is added now; and not every kernel knows bridges by name. */
  async #apply(place: Pick<EgressRules, "bridge" | "subnets" | "nameServers">): Promise<void> {
    const { nft, table } = this.#options;
    const render = (siblingsBy: EgressRules["siblingsBy"]) => this.#render({ ...place, siblingsBy });
    const others = this.#siblingsBy === "name" ? (["name", "subnet"] as const) : (["subnet"] as const);
    let failure: unknown;
    for (const before of ["", renderRemoval(table)]) {
      for (const siblingsBy of others) {
        try {
          await nft.apply(before + render(siblingsBy));
          this.#siblingsBy = siblingsBy;
          return;
        } catch (error) {
          failure = error;
        }
      }
    }
    throw failure;
  }

  #render(place: Pick<EgressRules, "bridge" | "subnets" | "nameServers" | "siblingsBy">): string {
    const { table, config, now } = this.#options;
    const openTo = new Map(
      [...this.#known.values()].flatMap(({ addresses, allow }) =>
        allow.length === 0 ? [] : addresses.map((address) => [address, this.#openings(allow)] as const),
      ),
    );
    return renderRules({
      ...place,
      table,
      mode: config.mode,
      abuse: config.block,
      connections: config.connections,
      openToAll: this.#openings(config.allow),
      openTo,
      now: now(),
    });
  }

  #openings(allow: readonly Destination[]): readonly Opening[] {
    return allow.flatMap(({ host, port }): Opening[] => {
      if (typeof host !== "string") return [{ to: host, port, until: null }];
      return this.#names.addresses(host).map(({ address, until }) => ({ to: address, port, until }));
    });
  }

  #allNames(): readonly string[] {
    const lists = [this.#options.config.allow, ...[...this.#known.values()].map(({ allow }) => allow)];
    return lists.flatMap(namesOf);
  }

  async #findPlace(): Promise<Pick<EgressRules, "bridge" | "subnets" | "nameServers">> {
    const [{ bridge, subnets }, nameServers] = await Promise.all([
      this.#options.network(),
      this.#options.nameServers(),
    ]);
    return { bridge, subnets: subnets.flatMap((subnet) => parseCidr(subnet) ?? []), nameServers };
  }

  async #read(): Promise<EgressTables | undefined> {
    const { nft, table } = this.#options;
    const [inet, bridge] = await Promise.all([nft.list("inet", table), nft.list("bridge", table)]);
    return inet === undefined || bridge === undefined ? undefined : readTables([inet, bridge]);
  }

  /** Takes down what was counted. Resolves with whether the tables are what they should be. */
  async #look(): Promise<boolean> {
    const tables = await this.#read().catch(() => undefined);
    if (tables === undefined) {
      this.#seen = { total: nothingCounted, bySource: new Map() };
      return false;
    }
    this.#blocked = plus(this.#blocked, since(this.#seen.total, tables.total));
    for (const [id, { addresses }] of this.#known) {
      for (const address of addresses) {
        const more = since(
          this.#seen.bySource.get(address) ?? nothingCounted,
          tables.bySource.get(address) ?? nothingCounted,
        );
        if (Object.values(more).some((count) => count > 0)) {
          this.#blockedOf.set(id, plus(this.#blockedOf.get(id) ?? nothingCounted, more));
        }
      }
    }
    this.#seen = tables;
    return tables.fingerprint === this.#fingerprint;
  }

  #reportLoss(): void {
    this.#failure = new Error("somebody took rules away or changed them");
    this.#lastReinstallAt = this.#options.now();
    this.#options.logger.error(
      { table: this.#options.table },
      "somebody took egress rules away or changed them; they are installed anew",
    );
  }
}

function namesOf(allow: readonly Destination[]): readonly string[] {
  return allow.flatMap(({ host }) => (typeof host === "string" ? [host] : []));
}

function shares(left: readonly string[], right: readonly string[]): boolean {
  return left.some((address) => right.includes(address));
}

const withBigInts = (_key: string, value: unknown) => (typeof value === "bigint" ? String(value) : value);
