import type { StatusReason } from "#contract/gateway-api.ts";
import type { Sandbox, SandboxChanges } from "./sandbox.ts";

/** Whoever ran for so long did not crash at its start: the next end counts anew. */
const stayedUpMs = 10_000;
const firstDelayMs = 1_000;
const longestDelayMs = 60_000;

/**
 * What an end that nobody asked for makes of a sandbox. The first one costs nothing: the next request starts it again.
 * After each further one in a row the next start waits, from 1 s doubling to 1 min.
 */
export function afterCrash(sandbox: Sandbox, reason: StatusReason, now: number): SandboxChanges {
  const ranFor = now - (sandbox.startedAt ?? now);
  const crashes = ranFor >= stayedUpMs ? 1 : sandbox.crashes + 1;
  const delayMs = crashes < 2 ? 0 : Math.min(firstDelayMs * 2 ** (crashes - 2), longestDelayMs);
  return {
    status: "stopped",
    reason,
    startedAt: null,
    awakeSince: null,
    crashes,
    retryAt: delayMs === 0 ? null : now + delayMs,
  };
}

/** Why a sandbox in a crash loop is not started yet; undefined when it may be. */
export function heldBack(sandbox: Sandbox, now: number): StatusReason | undefined {
  if (sandbox.retryAt === null || sandbox.retryAt <= now || sandbox.reason === null) return undefined;
  const retryAfterSeconds = Math.ceil((sandbox.retryAt - now) / 1000);
  const message = `${sandbox.reason.message}, ${sandbox.crashes} times in a row: the next start is in ${retryAfterSeconds} s`;
  return { ...sandbox.reason, message, retryAfterSeconds };
}
