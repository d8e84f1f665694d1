import type { Logger } from "pino";
import type { ActivityLedger } from "./activity.ts";
import type { ControlClient } from "./control-client.ts";

export type ActivityReporterOptions = {
  readonly ledger: ActivityLedger;
  readonly control: ControlClient;
  readonly flushMs: number;
  readonly logger: Logger;
};

/** Control hears of a worker at least this often, even when nothing happens. */
const signOfLifeMs = 2_000;

/** Tells control what the ledger counted, one batch per flush; a batch that did not arrive goes with the next one. */
export class ActivityReporter {
  readonly #options: ActivityReporterOptions;
  readonly #timer: NodeJS.Timeout;
  #sending: Promise<void> | undefined;
  #reportedAt = 0;
  #isAway = false;

  constructor(options: ActivityReporterOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.flush(), options.flushMs);
  }

  /** Sends what there is to tell. Resolves when control has it, or does not answer. */
  flush(): Promise<void> {
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
    const { ledger, control, logger } = this.#options;
    const now = Date.now();
    const report = ledger.report();
    if (report.sandboxes.length === 0 && now - this.#reportedAt < signOfLifeMs) return;
    try {
      await control.report(report);
      this.#reportedAt = now;
      this.#isAway = false;
    } catch (error) {
      ledger.restore(report);
      if (!this.#isAway) logger.debug({ err: error }, "activity could not be reported");
      this.#isAway = true;
    }
  }
}
