import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import { heartbeatSeconds, type RouteMessage } from "#contract/gateway-api.ts";
import type { Admission } from "./access/admission.ts";
import type { ControlClient } from "./control-client.ts";
import type { RoutingTable } from "./routing-table.ts";

export type RoutesWatchOptions = {
  readonly control: ControlClient;
  readonly table: RoutingTable;
  readonly admission: Admission;
  /** This worker's id, by which control knows whom to wait for. */
  readonly worker: string;
  readonly logger: Logger;
};

const firstRetryMs = 20;
/** A control that is away for less than this is merely starting. */
const quietMs = 2_000;
const longestRetryMs = 100;
const silenceMs = heartbeatSeconds * 3_000;

/** Keeps the routing table in step with control, for as long as the signal is not aborted, whatever control does. */
export async function watchRoutes(options: RoutesWatchOptions, signal: AbortSignal): Promise<void> {
  let retryMs = firstRetryMs;
  let reported = false;
  let awaySince = Date.now();
  while (!signal.aborted) {
    try {
      await followOnce(options, signal, () => {
        if (reported) options.logger.info("control is back");
        reported = false;
        retryMs = firstRetryMs;
        awaySince = Number.POSITIVE_INFINITY;
      });
    } catch (error) {
      if (signal.aborted) return;
      options.table.fallBehind();
      awaySince = Math.min(awaySince, Date.now());
      if (!reported && Date.now() - awaySince >= quietMs) {
        options.logger.warn({ err: error }, "control is away: routes stay as they are");
        reported = true;
      }
    }
    await delay(retryMs, undefined, { signal }).catch(() => {});
    retryMs = Math.min(retryMs * 2, longestRetryMs);
  }
}

async function followOnce(
  { control, table, admission, worker }: RoutesWatchOptions,
  signal: AbortSignal,
  onFirst: () => void,
): Promise<void> {
  const silence = new AbortController();
  let timer = setTimeout(() => silence.abort(), silenceMs);
  const stream = control.routes(worker, {
    epoch: table.epoch,
    since: table.revision,
    signal: AbortSignal.any([signal, silence.signal]),
  });
  let first = true;
  try {
    for await (const message of stream) {
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), silenceMs);
      if (isGap(message, table.revision)) throw new Error(`a gap in the routes after revision ${table.revision}`);
      if (message.type === "access" || message.type === "revocation") admission.take(message);
      else table.apply(message);
      if (first) onFirst();
      first = false;
    }
  } finally {
    clearTimeout(timer);
  }
}

/** Revisions follow each other one by one: a missing one means that a change was lost. */
function isGap(message: RouteMessage, revision: number): boolean {
  switch (message.type) {
    case "change":
    case "removal":
      return message.revision !== revision + 1;
    case "heartbeat":
      return message.revision !== revision;
    default:
      return false;
  }
}
