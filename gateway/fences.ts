import type { Logger } from "pino";
import type { SandboxId } from "#contract/sandbox-id.ts";
import type { ActivityLedger } from "./activity.ts";
import type { ControlClient } from "./control-client.ts";
import type { RoutingTable } from "./routing-table.ts";

export type FencesOptions = {
  readonly table: RoutingTable;
  readonly ledger: ActivityLedger;
  readonly control: ControlClient;
  readonly worker: string;
  readonly logger: Logger;
};

/**
 * Tells control what is still open of a draining sandbox. From the moment the draining route is in the table, new
 * requests are held; so what is counted then can only become less.
 */
export class Fences {
  readonly #options: FencesOptions;

  constructor(options: FencesOptions) {
    this.#options = options;
    options.table.on("route", (id) => this.acknowledge(id));
  }

  /** Sends the counts of a draining sandbox; does nothing for any other. */
  acknowledge(id: SandboxId): void {
    const { table, ledger, control, worker, logger } = this.#options;
    const route = table.get(id);
    if (route?.status !== "draining") return;
    const report = { worker, id, generation: route.generation, ...ledger.openCounts(id) };
    control.acknowledgeFence(report).catch((error) => logger.debug({ err: error, id }, "a fence was not acknowledged"));
  }
}
