import { plainLine } from "./log-line.ts";
import type { RefusalView } from "./refusal-page.ts";

/** A refusal for programs, as `application/problem+json` (RFC 9457 §3). What is not known is left out. */
export function problemDocument(view: RefusalView): string {
  return JSON.stringify({
    type: "about:blank",
    title: view.title,
    status: view.status,
    code: view.code,
    detail: view.detail,
    sandbox_id: view.sandboxId,
    retry_after_seconds: view.retryAfterSeconds,
    reason: view.reason,
    exit_code: view.exitCode,
    signal: view.signal,
    listening_ports: view.listeningPorts,
    queue_position: view.queuePosition,
    mem_available_percent: view.memAvailablePercent,
    log_tail: view.logTail?.map(plainLine),
  });
}
