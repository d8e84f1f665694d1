import type { Logger } from "pino";
import type { AccessReason, CredentialPlace, RefusalReport } from "#contract/access.ts";
import type { ControlClient } from "../control-client.ts";
import type { Exchange } from "../exchange.ts";

export type RefusalLedgerOptions = {
  readonly worker: string;
  readonly control: ControlClient;
  readonly flushMs: number;
  readonly logger: Logger;
};

type Refusal = RefusalReport["refusals"][number];
type Entry = { -readonly [Key in keyof Refusal]: Refusal[Key] };

/** So many different refusals are told of at a time: whoever makes up more of them learns and costs nothing by it. */
const mostEntries = 500;

/** Counts who was refused and why, alike ones together, and tells control once per flush. */
export class RefusalLedger {
  readonly #options: RefusalLedgerOptions;
  readonly #timer: NodeJS.Timeout;
  #entries = new Map<string, Entry>();
  #sending: Promise<void> | undefined;

  constructor(options: RefusalLedgerOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.flush(), options.flushMs);
  }

  note(exchange: Exchange, reason: AccessReason, place: CredentialPlace | null): void {
    const { id } = exchange.target!;
    const kind = exchange.class!;
    const { address } = exchange.client;
    const name = `${id} ${reason} ${place} ${kind}`;
    const known = this.#entries.get(name);
    if (known !== undefined) {
      known.count++;
      known.address = address;
    } else if (this.#entries.size < mostEntries) {
      this.#entries.set(name, { id, reason, place, class: kind, address, count: 1 });
    }
  }

  /** Resolves when control has it, or does not answer: then it goes with the next flush. */
  flush(): Promise<void> {
    if (this.#entries.size === 0 && this.#sending === undefined) return Promise.resolve();
    this.#sending ??= this.#send().finally(() => {
      this.#sending = undefined;
    });
    return this.#sending;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#sending;
    await this.flush();
  }

  async #send(): Promise<void> {
    const { worker, control, logger } = this.#options;
    const sent = this.#entries;
    this.#entries = new Map();
    try {
      await control.reportRefusals({ worker, refusals: [...sent.values()] });
    } catch (error) {
      logger.debug({ err: error }, "refusals could not be reported");
      for (const [name, entry] of sent) {
        const newer = this.#entries.get(name);
        if (newer !== undefined) newer.count += entry.count;
        else this.#entries.set(name, entry);
      }
    }
  }
}
