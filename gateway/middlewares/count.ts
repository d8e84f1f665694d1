import type { SandboxId } from "#contract/sandbox-id.ts";
import type { ActivityLedger } from "../activity.ts";
import type { Middleware } from "../exchange.ts";
import { extendsActivity } from "../request-class.ts";

export type CountOptions = {
  readonly ledger: ActivityLedger;
  /** Called when an exchange of this sandbox has ended. */
  readonly onClose: (id: SandboxId) => void;
};

/** Counts an exchange as activity of its sandbox for as long as it is open. */
export function count({ ledger, onClose }: CountOptions): Middleware {
  return (next) => (exchange) => {
    const { id, route } = exchange.target!;
    const activity = ledger.open(exchange, extendsActivity(route, exchange.class!));
    exchange.activity = activity;
    (exchange.upgrade?.socket ?? exchange.response).on("close", () => {
      ledger.close(id, activity);
      onClose(id);
    });
    next(exchange);
  };
}
