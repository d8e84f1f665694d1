import type { Logger } from "pino";
import type { Route } from "#contract/gateway-api.ts";
import type { SandboxId } from "#contract/sandbox-id.ts";
import type { ActivityLedger } from "./activity.ts";
import type { ControlClient } from "./control-client.ts";
import { pause } from "./pause.ts";
import type { RoutingTable } from "./routing-table.ts";

export type FencesOptions = {
  readonly table: RoutingTable;
  readonly ledger: ActivityLedger;
  readonly control: ControlClient;
  readonly worker: string;
  readonly logger: Logger;
  readonly signal: AbortSignal;
};

const retryMs = 100;

/**
 * Tells control what is still open of a draining sandbox. From the moment the draining route is in the table, new
 * requests are held; so what is counted then can only become less.
 */
export class Fences {
  readonly #options: FencesOptions;
  /** The sandboxes that a report is under way of; `again` when the counts changed since. */
  readonly #reporting = new Map<SandboxId, { again: boolean }>();

  constructor(options: FencesOptions) {
    this.#options = options;
    options.table.on("route", (id) => this.acknowledge(id));
  }

  /** Sends the counts of a draining sandbox; does nothing for any other. */
  acknowledge(id: SandboxId): void {
    const reporting = this.#reporting.get(id);
    if (reporting !== undefined) reporting.again = true;
    else if (this.#draining(id) !== undefined) void this.#report(id);
  }

  /** One report at a time, so that the newest comes last; one that did not arrive is made again. */
  async #report(id: SandboxId): Promise<void> {
    const { ledger, control, worker, logger, signal } = this.#options;
    const reporting = { again: true };
    this.#reporting.set(id, reporting);
    for (let route = this.#draining(id); route && reporting.again; route = this.#draining(id)) {
      reporting.again = false;
      try {
        await control.acknowledgeFence({ worker, id, generation: route.generation, ...ledger.openCounts(id) });
      } catch (error) {
        logger.debug({ err: error, id }, "a fence was not acknowledged");
        reporting.again = true;
        await pause(retryMs, signal);
      }
    }
    this.#reporting.delete(id);
  }

  #draining(id: SandboxId): Route | undefined {
    const route = this.#options.table.get(id);
    return route?.status === "draining" && !this.#options.signal.aborted ? route : undefined;
  }
}
