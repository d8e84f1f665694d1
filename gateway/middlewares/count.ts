import type { SandboxId } from "#contract/sandbox-id.ts";
import type { ActivityLedger } from "../activity.ts";
import type { Middleware } from "../exchange.ts";
import { publicState } from "../refuse.ts";
import { extendsActivity, mayWake } from "../request-class.ts";

export type CountOptions = {
  readonly ledger: ActivityLedger;
  /** Called when an exchange of this sandbox has ended. */
  readonly onClose: (id: SandboxId) => void;
};

/** Counts an exchange as activity of its sandbox for as long as it is open. */
export function count({ ledger, onClose }: CountOptions): Middleware {
  return (next) => (exchange) => {
    const { id, route } = exchange.target!;
    const kind = exchange.class!;
    // What lets a sandbox sleep is no activity of it.
    const reaches = publicState(route.status) !== "asleep" || mayWake(route, kind);
    const activity = ledger.open(exchange, reaches && extendsActivity(route, kind));
    exchange.activity = activity;
    (exchange.upgrade?.socket ?? exchange.response).on("close", () => {
      ledger.close(id, activity);
      onClose(id);
    });
    next(exchange);
  };
}
